"""What a site has for guests: like nodes of one partition are one group; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from intertie.engines.protocol import Room
from intertie.engines.slurm.commands import Ask
from intertie.engines.slurm.parsing import NodeRow, Queued
from intertie.model.parties import NodeFacts
from intertie.model.units import MIB, MILLI, ceil_div

OURS = "intertie-"  # begins the name of every job that is ours
# Reasons for which a job waits that more room would not end.
STUCK = ("Dependency", "JobHeld", "BeginTime", "Assoc", "QOS", "Partition", "Bad", "JobArrayTask")


@dataclass(frozen=True)
class Group:
    """Like nodes of one partition; sizes are those of one node."""

    name: str
    partition: str
    machines: int
    cpus: int
    memory_mib: int
    device_type: str
    devices: int

    def fits(self, cpus: int, memory_mib: int, device_type: str, devices: int) -> bool:
        """Return whether one node is large enough, and of the right kind."""
        is_kind = not devices or self.device_type == device_type
        is_large = self.cpus >= cpus and self.memory_mib >= memory_mib and self.devices >= devices
        return is_kind and is_large

    def facts(self, classes: Mapping[str, str], disk_bytes: int) -> NodeFacts:
        """Return the group as the network sees it; `disk_bytes` is one node's part."""
        return NodeFacts(
            name=self.name,
            cpus_milli=self.cpus * MILLI * self.machines,
            memory_bytes=self.memory_mib * MIB * self.machines,
            disk_bytes=disk_bytes * self.machines,
            device_class=classes.get(self.device_type, self.device_type),
            device_count=self.devices * self.machines,
            machine_count=self.machines,
        )


def groups(rows: Iterable[NodeRow], partitions: Sequence[str]) -> list[Group]:
    """Return the groups; a node of several partitions belongs to the one that is named first."""
    alike: dict[tuple[str, int, int, str, int], int] = {}
    for row in _each_once(rows, partitions):
        kind = (row.partition, row.cpus, row.memory_mib, row.device_type, row.devices)
        alike[kind] = alike.get(kind, 0) + 1
    found: list[Group] = []
    taken: set[str] = set()
    for kind, count in alike.items():
        partition, cpus, memory_mib, device, devices = kind
        plain = f"{partition}-{device or 'cpu'}"
        name = plain if plain not in taken else f"{plain}-{devices or cpus}x{memory_mib}M"
        taken.add(name)
        found.append(Group(name, partition, count, cpus, memory_mib, device, devices))
    return found


def room(
    rows: Iterable[NodeRow],
    partitions: Sequence[str],
    queue: Iterable[Queued],
    *,
    own_jobs_first: bool,
) -> Room:
    """Return what is up and not taken by the site's own users; what guests hold is in it.

    With `own_jobs_first` what the site's own users wait for counts as taken too.
    """
    jobs = list(queue)
    guests = _guests(jobs)
    up = [row for row in _each_once(rows, partitions) if row.is_up]
    cpus = sum(row.cpus - row.cpus_used for row in up) + guests_cpus(jobs)
    mib = sum(row.memory_mib - row.memory_used_mib for row in up)
    mib += sum(job.memory_mib for job in guests)
    devices = sum(row.devices - row.devices_used for row in up)
    devices += sum(job.devices for job in guests)
    if own_jobs_first:
        waiting = [job for job in jobs if _waits_for_room(job)]
        cpus -= sum(job.cpus for job in waiting)
        mib -= sum(job.memory_mib for job in waiting)
        devices -= sum(job.devices for job in waiting)
    return Room(max(0, cpus) * MILLI, max(0, mib) * MIB, max(0, devices))


def partitions_for(
    ask_sizes: tuple[int, int, str, int], there: Iterable[Group], members: int = 1
) -> tuple[tuple[str, ...], int]:
    """Return where so many attempts can be one job, in the owner's order, and on how many machines.

    Each attempt has a machine of its own where some partition has enough of them; else they share
    as few as they must. No partition and 0 where none could ever hold them all.
    """
    cpus, memory_mib, kind, devices = ask_sizes
    groups = list(there)
    for each in range(1, members + 1):
        machines = ceil_div(members, each)
        count: dict[str, int] = {}
        for group in groups:
            has_room = group.fits(each * cpus, each * memory_mib, kind, each * devices)
            count[group.partition] = count.get(group.partition, 0) + has_room * group.machines
        if chosen := tuple(name for name, found in count.items() if found >= machines):
            return chosen, machines
    return (), 0


def smallest_ask(group: Group, minutes: int) -> Ask:
    """Return the question for one unit of a group: a device, or a core where there is none."""
    count = min(1, group.devices)
    return Ask((group.partition,), 1, 1, group.device_type if count else "", count, minutes)


def is_idle(group: Group, rows: Iterable[NodeRow]) -> bool:
    """Return whether some node of a group has a unit free now."""
    return any(
        row.is_up
        and row.partition == group.partition
        and (row.device_type, row.devices) == (group.device_type, group.devices)
        and row.cpus_used < row.cpus
        and (not row.devices or row.devices_used < row.devices)
        for row in rows
    )


def is_ours(job: Queued) -> bool:
    """Return whether a guest has it, not one of the site's own users."""
    return job.name.startswith(OURS)


def guests_cpus(queue: Iterable[Queued]) -> int:
    """Return how many cores guests hold."""
    return sum(job.cpus for job in _guests(queue))


def _guests(queue: Iterable[Queued]) -> list[Queued]:
    return [job for job in queue if job.state != "PENDING" and is_ours(job)]


def _waits_for_room(job: Queued) -> bool:
    return job.state == "PENDING" and not is_ours(job) and not job.reason.startswith(STUCK)


def _each_once(rows: Iterable[NodeRow], partitions: Sequence[str]) -> list[NodeRow]:
    order = {name: place for place, name in enumerate(partitions)}
    first: dict[str, NodeRow] = {}
    for row in sorted(rows, key=lambda row: (order.get(row.partition, len(order)), row.name)):
        first.setdefault(row.name, row)
    return list(first.values())
