"""Who asks and who supplies: projects, providers, pools and what an agent says of its pool."""

from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b


@dataclass(frozen=True)
class Project:
    """Who asks and pays. Columnar. `usage_micro_su` is decayed use as of `usage_at`.

    `cohort` is the one it belongs to, 0: none. Whoever holds less than `floor_ppm` of the network
    and has work waiting is served before fair share. A lease of its was charged last at
    `served_at`.
    """

    id: int
    weight: int
    usage_micro_su: int
    usage_at: int
    is_blocked: int
    cohort: int = 0
    floor_ppm: int = 0
    served_at: int = 0


@dataclass(frozen=True)
class Provider:
    """Who owns machines and sells time on them. Columnar."""

    id: int
    is_blocked: int


@dataclass(frozen=True)
class Pool:
    """Machines behind one engine, and the session of the agent that speaks for them. Columnar.

    `epoch` grows with each session: the older of two agents is fenced out. `lent_*` is what the
    owner lends at this instant; it shrinks when the owner reclaims. The digests are sums of marks
    (`wire.digest`) of the leases that its agent has told of, and of those that it should run or
    stop.
    """

    id: int
    provider: int
    state: int
    epoch: int
    sequence: int
    seen_at: int
    renew_for_s: int
    wants_full: int
    lent_cpus_milli: int
    lent_memory_bytes: int
    is_draining: int
    observed_digest: int = 0
    wanted_digest: int = 0
    lent_device_count: int = 0


@dataclass(frozen=True)
class Node:
    """One machine of a pool, or one group of like machines where the site's scheduler picks.

    Columnar. Sizes are sums over its machines, and a task must fit one of them. `device_class` is
    a `device_code`; a task would start there `wait_s` after it was placed, by the site's own word.
    """

    id: int
    pool: int
    index: int
    cpus_milli: int
    memory_bytes: int
    disk_bytes: int
    device_count: int
    machine_count: int = 1
    device_class: int = 0
    wait_s: int = 0


@cache
def device_code(device_class: str) -> int:
    """Return the number that stands for a device class in columns; 0 where there is none.

    It is made of the name alone, so that no table of names has to be kept and agreed upon.
    """
    if not device_class:
        return 0
    marked = blake2b(device_class.encode(), digest_size=8).digest()
    return int.from_bytes(marked, "big") % 2**63 or 1


@dataclass(frozen=True)
class Named:
    """The document of a project or a provider: what people call it."""

    name: str


@dataclass(frozen=True)
class AgentKey:
    """The document of a pool that says whose signature speaks for it: Ed25519, raw, base64.

    The key is empty once it was struck off.
    """

    pool: str
    public_key: str


@dataclass(frozen=True)
class NodeFacts:
    """What an agent says of one node. `device_class` is empty where there is none.

    Where the site's own scheduler picks machines it is a group of `machine_count` like ones; its
    sizes are their sums, and a task must fit one of them.
    """

    name: str
    cpus_milli: int
    memory_bytes: int
    disk_bytes: int
    device_class: str = ""
    device_count: int = 0
    machine_count: int = 1

    def machine(self) -> "NodeFacts":
        """Return one machine of the group."""
        if self.machine_count == 1:
            return self
        return replace(
            self,
            cpus_milli=self.cpus_milli // self.machine_count,
            memory_bytes=self.memory_bytes // self.machine_count,
            disk_bytes=self.disk_bytes // self.machine_count,
            device_count=self.device_count // self.machine_count,
            machine_count=1,
        )


@dataclass(frozen=True)
class Stack:
    """Software that a pool offers, by name and exact version."""

    name: str
    version: str


@dataclass(frozen=True)
class Score:
    """Speed of one unit under a profile, in millionths of its reference.

    `source` is ``measured`` (by the agent at joining, with its runs) or ``declared``.
    """

    profile: str
    millionths: int
    source: str
    backend: str = ""
    runs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Terms:
    """What the owner asks: price by unit and hour, and how fast lent capacity comes back.

    The unit is one device where the pool has devices, else one core. The jobs of `own_project`
    come before guests on this pool. `projects` are those who may come, empty means all;
    `not_projects` may not.
    `lent_device_count` is the most devices ever lent, None for all of them.
    """

    price_micro_per_unit_h: int
    grace_s: int
    lent_cpus_milli: int
    lent_memory_bytes: int
    own_project: str = ""
    projects: tuple[str, ...] = ()
    lent_device_count: int | None = None
    not_projects: tuple[str, ...] = ()

    def admit(self, project: str) -> bool:
        """Return whether a project may come."""
        is_named = not self.projects or project in self.projects
        return is_named and project not in self.not_projects


@dataclass(frozen=True)
class PoolFacts:
    """The document of a pool: all that its agent said of it when its session began."""

    name: str
    engine: str
    region: str
    country: str
    latency_ms: int
    latency_source: str
    nodes: tuple[NodeFacts, ...]
    terms: Terms
    scores: tuple[Score, ...] = ()
    software: tuple[Stack, ...] = ()
    abilities: tuple[str, ...] = ()
    not_enforced: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    agent_version: str = ""

    @property
    def most_devices(self) -> int:
        """Return the most devices that the owner ever lends."""
        there, most = sum(node.device_count for node in self.nodes), self.terms.lent_device_count
        return there if most is None else min(there, most)
