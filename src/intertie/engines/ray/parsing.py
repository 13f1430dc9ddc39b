"""From what Ray says to values. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from intertie.engines.protocol import Room
from intertie.engines.ray.settings import ACCELERATOR, GPU
from intertie.model.parties import NodeFacts
from intertie.model.units import GIB, MILLI

DETAIL_CHARS = 1000
START_TIMEOUT = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"


@dataclass(frozen=True)
class Job:
    """What Ray says of one submitted job; instants are in ms since the epoch, 0 if not yet."""

    id: str
    status: str
    message: str = ""
    error: str = ""
    node: str = ""
    started_at: int = 0
    ended_at: int = 0

    @property
    def is_alive(self) -> bool:
        """Return whether it waits or runs."""
        return self.status in ("PENDING", "RUNNING")

    @property
    def has_waited_too_long(self) -> bool:
        """Return whether Ray gave up to wait for room, which it does after some minutes."""
        return self.error == START_TIMEOUT


@dataclass(frozen=True)
class RayNode:
    """One machine of the cluster with what Ray counts of it."""

    id: str
    name: str
    resources: Mapping[str, float]


def jobs(said: list[dict[str, Any]], prefix: str) -> dict[str, Job]:
    """Return the submitted jobs whose id begins so, by id; drivers of others have none."""
    named = [each for each in said if str(each.get("submission_id") or "").startswith(prefix)]
    return {each["submission_id"]: job(each) for each in named}


def job(said: dict[str, Any]) -> Job:
    """Return one job."""
    return Job(
        id=said["submission_id"],
        status=said["status"],
        message=last_words(said.get("message") or ""),
        error=said.get("error_type") or "",
        node=said.get("driver_node_id") or "",
        started_at=said.get("start_time") or 0,
        ended_at=said.get("end_time") or 0,
    )


def last_words(text: str) -> str:
    """Return the end of a message: the error of a traceback, the last lines of a log."""
    lines = [line for line in text.splitlines() if line.strip()]
    if "Traceback" in text:
        lines = [line for line in lines if ": " in line][-1:]
    return "\n".join(lines)[-DETAIL_CHARS:]


def nodes(said: dict[str, Any]) -> list[RayNode]:
    """Return the nodes that are alive."""
    rows = said["data"]["result"]["result"]
    return [
        RayNode(row["node_id"], row["node_name"] or row["node_ip"], row["resources_total"] or {})
        for row in rows
        if row["state"] == "ALIVE"
    ]


def groups(
    alive: Iterable[RayNode], classes: Mapping[str, str], disk_bytes: int
) -> tuple[NodeFacts, ...]:
    """Return groups of like machines, their sizes summed; Ray's scheduler picks within them.

    Memory is rounded down to GiB: like machines differ by what their firmware keeps.
    """
    found: dict[str, NodeFacts] = {}
    for node in alive:
        one = _facts(node, classes)
        if one.cpus_milli and one.memory_bytes:
            before = found.get(one.name)
            found[one.name] = _sum(before, one) if before else one
    return tuple(replace(found[name], disk_bytes=disk_bytes) for name in sorted(found))


def _facts(node: RayNode, classes: Mapping[str, str]) -> NodeFacts:
    has = node.resources
    cpus_milli = int(has.get("CPU", 0) * MILLI)
    memory_bytes = int(has.get("memory", 0)) // GIB * GIB
    device_class, count = _device(has, classes)
    devices = f"{device_class}-x{count}-" if count else ""
    name = f"{devices}cpu-x{cpus_milli // MILLI}-{memory_bytes // GIB}g"
    return NodeFacts(name, cpus_milli, memory_bytes, 0, device_class, count)


def _device(has: Mapping[str, float], classes: Mapping[str, str]) -> tuple[str, int]:
    """Return the first device class of the owner's that a node has, and how many: it has one."""
    for device_class, resource in classes.items():
        if resource in has:
            count = int(has.get(GPU if resource.startswith(ACCELERATOR) else resource, 0))
            if count:
                return device_class, count
    return "", 0


def _sum(group: NodeFacts, one: NodeFacts) -> NodeFacts:
    return replace(
        group,
        cpus_milli=group.cpus_milli + one.cpus_milli,
        memory_bytes=group.memory_bytes + one.memory_bytes,
        device_count=group.device_count + one.device_count,
        machine_count=group.machine_count + 1,
    )


def usage(said: dict[str, Any]) -> dict[str, float]:
    """Return how much of each resource is used in the whole cluster, by everybody.

    Resources have the names of `camel`, in which the dashboard writes every key.
    """
    report = (said["data"].get("clusterStatus") or {}).get("loadMetricsReport") or {}
    return {name: float(pair[0]) for name, pair in (report.get("usage") or {}).items()}


def camel(name: str) -> str:
    """Return a resource's name as the dashboard writes it."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def room(
    alive: Iterable[RayNode],
    used: Mapping[str, float],
    ours: Iterable[dict[str, Any]],
    classes: Mapping[str, str],
) -> Room:
    """Return what others leave: all there is, less what is used and not by our documents."""
    totals: dict[str, float] = {}
    for node in alive:
        for name, amount in node.resources.items():
            totals[name] = totals.get(name, 0) + amount
    own: dict[str, float] = {}
    for document in ours:
        for name, amount in asked(document).items():
            own[name] = own.get(name, 0) + amount

    def left(name: str) -> float:
        others = max(0.0, used.get(camel(name), 0) - own.get(name, 0))
        return max(0.0, totals.get(name, 0) - others)

    counted = {GPU if name.startswith(ACCELERATOR) else name for name in classes.values()}
    devices = sum(int(left(name)) for name in counted)
    return Room(int(left("CPU") * MILLI), int(left("memory")), devices)


def asked(document: Mapping[str, Any]) -> dict[str, float]:
    """Return what a job's document asks for, by Ray's names."""
    return {
        "CPU": document["entrypoint_num_cpus"],
        "memory": document["entrypoint_memory"],
        GPU: document.get("entrypoint_num_gpus", 0),
        **document.get("entrypoint_resources", {}),
    }


def actor_id(said: dict[str, Any]) -> str:
    """Return the id of the one actor in an answer of the state API; nothing if there is none."""
    rows = said["data"]["result"]["result"]
    return str(rows[0]["actor_id"]) if rows else ""


def actor_ms(said: dict[str, Any]) -> int:
    """Return how long an actor lived, in milliseconds; 0 while it lives, or if it is forgotten."""
    detail = said["data"]["detail"] or {}
    begun, ended = int(detail.get("startTime") or 0), int(detail.get("endTime") or 0)
    return max(0, ended - begun) if begun else 0
