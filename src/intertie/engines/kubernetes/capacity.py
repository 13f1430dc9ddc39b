"""Nodes, quotas and others' pods in; what there is, and what is left for guests, out. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from intertie.engines.kubernetes.quantity import milli, whole
from intertie.engines.kubernetes.render import AGENT
from intertie.engines.kubernetes.settings import Device
from intertie.engines.protocol import Room
from intertie.model.parties import NodeFacts
from intertie.model.units import GIB, MIB

Document = Mapping[str, Any]
DONE = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Machine:
    """One node that takes pods; sizes are what it can give to pods at all."""

    name: str
    cpus_milli: int
    memory_bytes: int
    device_class: str = ""
    device_count: int = 0


def machines(
    nodes: Iterable[Document], devices: Mapping[str, Device], selector: Mapping[str, str]
) -> list[Machine]:
    """Return the nodes that are ready and not cordoned, each with the first class it matches."""
    return [_machine(node, devices) for node in nodes if takes_pods(node) and _has(node, selector)]


def takes_pods(node: Document) -> bool:
    """Return whether a node is ready and not cordoned."""
    return is_ready(node) and not node.get("spec", {}).get("unschedulable")


def is_ready(node: Document) -> bool:
    """Return whether a node's kubelet answers."""
    told = node.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in told)


def groups(found: Iterable[Machine], disk_bytes: int) -> tuple[NodeFacts, ...]:
    """Return groups of like machines, with the sums of their sizes; the disk is one for all.

    Sizes are rounded down (0.1 CPU, 1 GiB or, below that, 1 MiB), or no two would be alike.
    """
    like = Counter(
        (
            each.device_class,
            each.cpus_milli // 100 * 100,
            _rounded(each.memory_bytes),
            each.device_count,
        )
        for each in found
    )
    return tuple(
        NodeFacts(
            name=_group_name(device_class, cpus_milli, memory_bytes, device_count),
            cpus_milli=cpus_milli * count,
            memory_bytes=memory_bytes * count,
            disk_bytes=disk_bytes,
            device_class=device_class,
            device_count=device_count * count,
            machine_count=count,
        )
        for (device_class, cpus_milli, memory_bytes, device_count), count in sorted(like.items())
    )


def room(
    found: list[Machine],
    devices: Mapping[str, Device],
    pods: Iterable[Document],
    quotas: Iterable[Document],
    agent: str,
) -> Room:
    """Return what is left for guests: all that may be had, less the pods that are not ours."""
    by_name = {each.name: each for each in found}
    resources = {device.resource for device in devices.values()}
    taken = ours = Sizes()
    for pod in pods:
        if pod.get("status", {}).get("phase") in DONE:
            continue
        asked = _asked(pod, resources)
        if pod.get("metadata", {}).get("labels", {}).get(AGENT) == agent:
            ours += asked
        elif pod.get("spec", {}).get("nodeName") in by_name:
            taken += asked
    left = _total(found) - taken
    for quota in quotas:
        left = left.least(_quota_left(quota, resources, ours))
    return Room(max(0, left.cpus_milli), max(0, left.memory_bytes), max(0, left.device_count))


@dataclass(frozen=True)
class Sizes:
    """Sums of what pods ask, or of what there is."""

    cpus_milli: int = 0
    memory_bytes: int = 0
    device_count: int = 0

    def __add__(self, other: "Sizes") -> "Sizes":
        return Sizes(*(a + b for a, b in zip(self.all(), other.all(), strict=True)))

    def __sub__(self, other: "Sizes") -> "Sizes":
        return Sizes(*(a - b for a, b in zip(self.all(), other.all(), strict=True)))

    def least(self, other: "Sizes") -> "Sizes":
        """Return the smaller of each."""
        return Sizes(*(min(a, b) for a, b in zip(self.all(), other.all(), strict=True)))

    def all(self) -> tuple[int, int, int]:
        """Return the sizes in their order."""
        return self.cpus_milli, self.memory_bytes, self.device_count


ENDLESS = Sizes(2**53, 2**53, 2**53)


def _machine(node: Document, devices: Mapping[str, Device]) -> Machine:
    can = node["status"].get("allocatable", {})
    name = node["metadata"]["name"]
    sizes = (milli(can.get("cpu", "0")), whole(can.get("memory", "0")))
    for device_class, device in devices.items():
        count = whole(can.get(device.resource, "0"))
        if count and _has(node, device.selector):
            return Machine(name, *sizes, device_class, count)
    return Machine(name, *sizes)


def _has(node: Document, selector: Mapping[str, str]) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in selector.items())


def _rounded(memory_bytes: int) -> int:
    unit = GIB if memory_bytes >= GIB else MIB
    return memory_bytes // unit * unit


def _group_name(device_class: str, cpus_milli: int, memory_bytes: int, device_count: int) -> str:
    kind = f"{device_class}x{device_count}" if device_class else "cpu"
    return f"{kind}-{cpus_milli}m-{memory_bytes // MIB}Mi"


def _total(found: list[Machine]) -> Sizes:
    return sum(
        (Sizes(each.cpus_milli, each.memory_bytes, each.device_count) for each in found), Sizes()
    )


def _asked(pod: Document, resources: set[str]) -> Sizes:
    """Return what a pod asks: its containers together, or more where an early one asks more."""
    spec = pod.get("spec", {})
    together = sum((_of(each, resources) for each in spec.get("containers", [])), Sizes())
    early = [_of(each, resources) for each in spec.get("initContainers") or []]
    most = [
        max(sizes) for sizes in zip(together.all(), *(each.all() for each in early), strict=True)
    ]
    return Sizes(*most)


def _of(container: Document, resources: set[str]) -> Sizes:
    told = container.get("resources", {}).get("requests", {})
    count = sum(whole(told.get(name, "0")) for name in resources)
    return Sizes(milli(told.get("cpu", "0")), whole(told.get("memory", "0")), count)


def _quota_left(quota: Document, resources: set[str], ours: Sizes) -> Sizes:
    """Return what a quota leaves to guests, our own pods counted as room for them."""
    status = quota.get("status", {})
    hard, used = status.get("hard", {}), status.get("used", {})

    def least(keys: Iterable[str], number: Any, own: int, endless: int) -> int:
        left = [number(hard[key]) - number(used.get(key, "0")) + own for key in keys if key in hard]
        return min(left, default=endless)

    return Sizes(
        least(("cpu", "requests.cpu", "limits.cpu"), milli, ours.cpus_milli, ENDLESS.cpus_milli),
        least(
            ("memory", "requests.memory", "limits.memory"),
            whole,
            ours.memory_bytes,
            ENDLESS.memory_bytes,
        ),
        least(
            [f"requests.{name}" for name in sorted(resources)],
            whole,
            ours.device_count,
            ENDLESS.device_count,
        ),
    )
