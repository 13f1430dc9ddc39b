"""What the site is: its configuration, partitions and groups, asked once and kept."""

from functools import cached_property

from intertie.engines.slurm import supply
from intertie.engines.slurm.commands import Ask
from intertie.engines.slurm.parsing import Partition
from intertie.engines.slurm.settings import SlurmSettings
from intertie.engines.slurm.site import Site
from intertie.model.units import MIB, MILLI, ceil_div
from intertie.wire.sync import LeaseBody

SHIM_MIB = 32  # what the shim itself takes of a job's memory
MARGIN_S = 60  # the site's own time limit stands behind the shim's
ABILITIES = ("sandbox", "network_off", "cpu_limit", "memory_limit", "pids_limit")


class About:
    """Each property asks the site when it is first read; EngineUnavailable if it cannot."""

    def __init__(self, site: Site, settings: SlurmSettings) -> None:
        self.site, self.settings = site, settings

    @cached_property
    def config(self) -> dict[str, str]:
        return self.site.config()

    @cached_property
    def known_partitions(self) -> dict[str, Partition]:
        return self.site.partitions()

    @cached_property
    def partitions(self) -> tuple[str, ...]:
        """Return the partitions that are lent; ValueError names one that is not there."""
        known = self.known_partitions
        named = self.settings.partitions or tuple(
            name for name, partition in known.items() if partition.is_default
        )
        missing = [name for name in named if name not in known]
        if missing or not named:
            word = f"no partition {missing[0]!r} here" if missing else "this site has no default"
            raise ValueError(f"partitions: {word}; there is {', '.join(sorted(known))}")
        return named

    @cached_property
    def groups(self) -> list[supply.Group]:
        return supply.groups(self.site.nodes(self.partitions), self.partitions)

    def read_groups(self) -> list[supply.Group]:
        """Return the groups as they are now; ValueError if there is no node at all."""
        self.__dict__.pop("groups", None)
        if not self.groups:
            raise ValueError(f"partitions: {', '.join(self.partitions)} have no nodes")
        return self.groups

    @property
    def array_max(self) -> int:
        """Return how many attempts one submission may hold."""
        return max(1, _whole(self.config.get("MaxArraySize", "")) or 1)

    @property
    def has_accounting(self) -> bool:
        kind = self.config.get("AccountingStorageType", "")
        return bool(kind) and not kind.endswith("/none")

    @property
    def abilities(self) -> tuple[str, ...]:
        """Return what the site enforces: only control groups hold a program to its sizes.

        A gang is one job, which starts whole at any site.
        """
        has_groups = "task/cgroup" in self.config.get("TaskPlugin", "")
        ways = (("cpu_limit", "ConstrainCores"), ("memory_limit", "ConstrainRAMSpace"))
        held = tuple(
            word
            for word, key in ways
            if has_groups and self.config.get(key, "").lower() in ("yes", "true")
        )
        return (*held, "gangs")

    @property
    def not_enforced(self) -> tuple[str, ...]:
        return tuple(word for word in ABILITIES if word not in self.abilities)

    def term_grace_s(self, partitions: tuple[str, ...]) -> int:
        """Return how long the site waits between SIGTERM and SIGKILL when it takes a job back."""
        kill_wait_s = _whole(self.config.get("KillWait", "").removesuffix(" sec")) or 30
        graces = [self.known_partitions[name].grace_s for name in partitions]
        return max(1, min(graces, default=0) + kill_wait_s - 1)

    def ask(self, body: LeaseBody, grace_s: int) -> Ask:
        """Return what a lease needs of the site; ValueError if no node could ever hold it."""
        types = {name: kind for kind, name in self.settings.device_classes.items()}
        cpus = max(1, ceil_div(body.cpus_milli, MILLI))
        kind = types.get(body.device_class, body.device_class) if body.device_count else ""
        members = body.gang.size if body.gang else 1
        placed = [group for group in self.groups if group.name == body.node] or self.groups
        placed = self.groups if members > 1 else placed  # one job for all, wherever each was placed
        needed_mib, count = ceil_div(body.memory_bytes, MIB), body.device_count
        for memory_mib in (needed_mib + SHIM_MIB, needed_mib):
            sizes = (cpus, memory_mib, kind, count)
            chosen, machines = supply.partitions_for(sizes, placed, members)
            if chosen:
                minutes = self._minutes(body.time_limit_s, grace_s, chosen)
                gang = (members, machines) if members > 1 else ()
                return Ask(chosen, cpus, memory_mib, kind, count, minutes, *gang)
        which = f"no partition of {', '.join(self.partitions)} has {members} times"
        which = which if members > 1 else f"no node of {', '.join(self.partitions)} has"
        sizes_text = f"{cpus} cores, {needed_mib} MiB and {count} devices {kind}"
        raise ValueError(f"{which} {sizes_text}".rstrip())

    def _minutes(self, time_limit_s: int, grace_s: int, partitions: tuple[str, ...]) -> int:
        wanted = ceil_div(time_limit_s + grace_s + MARGIN_S, 60)
        limits = [self.known_partitions[name].minutes_max for name in partitions]
        most = min((limit for limit in limits if limit), default=wanted)
        if ceil_div(time_limit_s, 60) > most:
            raise ValueError(f"time_limit_s: {', '.join(partitions)} allow {most} minutes at most")
        return min(wanted, most)


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
