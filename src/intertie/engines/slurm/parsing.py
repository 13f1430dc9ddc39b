"""What Slurm's commands print, read into values; pure, tested on recorded output.

Times are seconds since the Unix epoch: the runner asks for them so.
"""

import re
from dataclasses import dataclass, replace

HELD = ("REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", *HELD)
RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
UP = {"IDLE", "MIXED", "ALLOCATED", "COMPLETING", "PLANNED"}
GRES = re.compile(r"gpu(?::(?P<type>[A-Za-z_][\w.-]*))?(?::(?P<count>\d+))?")


@dataclass(frozen=True)
class Job:
    """One job, or one task of an array, as the site sees it. Instants are 0 where unknown."""

    base: int
    index: int
    state: str
    start_s: int
    end_s: int
    node: str
    name: str
    reason: str
    elapsed_s: int = 0

    @property
    def id(self) -> str:
        """Return what the site's commands call it."""
        return f"{self.base}_{self.index}" if self.index >= 0 else str(self.base)

    @property
    def is_waiting(self) -> bool:
        return self.state in WAITING

    @property
    def is_running(self) -> bool:
        return self.state in RUNNING

    @property
    def is_over(self) -> bool:
        return not self.is_waiting and not self.is_running


@dataclass(frozen=True)
class Queued:
    """One job of anybody, waiting or running: what it takes of the site."""

    state: str
    cpus: int
    memory_mib: int
    devices: int
    name: str
    reason: str


@dataclass(frozen=True)
class NodeRow:
    """One node in one partition."""

    name: str
    partition: str
    is_up: bool
    cpus: int
    cpus_used: int
    memory_mib: int
    memory_used_mib: int
    device_type: str
    devices: int
    devices_used: int


@dataclass(frozen=True)
class Partition:
    """One partition: how long a preempted job is given, and how long a job may last, 0: any."""

    name: str
    is_default: bool
    grace_s: int
    minutes_max: int


def own_jobs(text: str) -> list[Job]:
    """Return the jobs of `commands.squeue_own`."""
    return [_job(line.split("|", 7)) for line in text.splitlines()]


def queued(text: str) -> list[Queued]:
    """Return the jobs of `commands.squeue_waiting`."""
    found = []
    for line in text.splitlines():
        state, cpus, memory, nodes, gres, reason, name = line.split("|", 6)
        machines = max(1, _whole(nodes))
        devices = device_of(gres.removeprefix("gres:"))[1] * machines
        mib = mebibytes(memory) * machines
        found.append(Queued(state, _whole(cpus), mib, devices, name, reason))
    return found


def accounted(text: str) -> list[Job]:
    """Return the jobs of `commands.sacct`."""
    found = []
    for line in text.splitlines():
        number, state, elapsed, start, end, node, name = line.split("|")
        base, _, index = number.partition("_")
        if base.isdigit() and (index.isdigit() or not index):
            word = state.split()[0]  # "CANCELLED by 1000"
            place = int(index) if index else -1
            known = (_whole(start), _whole(end), _node(node), name, "", _whole(elapsed))
            found.append(Job(int(base), place, word, *known))
    return found


def submitted(text: str) -> int:
    """Return the id that `sbatch --parsable` printed; ValueError if there is none."""
    last = text.strip().splitlines()[-1] if text.strip() else ""
    return int(last.partition(";")[0])


def test_start_s(text: str) -> int:
    """Return when `sbatch --test-only` says that a job would start; 0 if it does not say."""
    found = re.search(r"to start at (\d+)", text)
    return int(found[1]) if found else 0


def node_rows(text: str) -> list[NodeRow]:
    """Return the rows of `commands.sinfo`."""
    found = []
    for line in text.splitlines():
        name, state, cpus, memory, memory_used, gres, gres_used, partition = line.split()
        used, _, _, total = map(int, cpus.split("/"))
        kind, devices = device_of(gres)
        sizes = (total, used, int(memory), _whole(memory_used))
        row = (name, partition.rstrip("*"), _is_up(state), *sizes)
        found.append(NodeRow(*row, kind, devices, device_of(gres_used)[1]))
    return found


def config(text: str) -> dict[str, str]:
    """Return what `scontrol show config` prints, by name."""
    rows = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in rows}


def partitions(text: str) -> dict[str, Partition]:
    """Return the partitions of `commands.show_partitions`, by name."""
    found = {}
    for line in text.splitlines():
        row = dict(word.partition("=")[::2] for word in line.split())
        if name := row.get("PartitionName", ""):
            is_default = row.get("Default") == "YES"
            longest = minutes(row.get("MaxTime", ""))
            found[name] = Partition(name, is_default, _whole(row.get("GraceTime", "")), longest)
    return found


def device_of(text: str) -> tuple[str, int]:
    """Return type and count of a GRES such as `gpu:a100:8(S:0)`; the first type counts."""
    found = GRES.search(text)
    if found is None:
        return "", 0
    kind = found["type"] or "gpu"
    rows = GRES.finditer(re.sub(r"\([^)]*\)", "", text))
    return kind, sum(int(row["count"] or 1) for row in rows if (row["type"] or "gpu") == kind)


def mebibytes(text: str) -> int:
    """Return a size such as `512M` or `1.5G` in MiB, rounded up; 0 if it is none."""
    found = re.match(r"([\d.]+)([KMGT]?)", text)
    if found is None:
        return 0
    factor = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}[found[2]]
    return -int(-float(found[1]) * factor // 1)


def minutes(text: str) -> int:
    """Return a time limit such as `1-12:00:00` in minutes; 0 if there is none."""
    found = re.match(r"(?:(\d+)-)?(\d+):(\d+):(\d+)$", text)
    if found is None:
        return 0
    days, hours, rest, _ = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + rest


def _job(row: list[str]) -> Job:
    base, index, state, start, end, node, reason, name = row
    place = int(index) if index.isdigit() else -1
    known = (state, _whole(start), _whole(end), _node(node), name, reason)
    job = Job(int(base), place, *known)
    lasted_s = max(0, job.end_s - job.start_s) if job.is_over and job.start_s else 0
    return replace(job, elapsed_s=lasted_s)


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _node(text: str) -> str:
    return "" if text.startswith(("(null", "None")) else text


def _is_up(state: str) -> bool:
    """A star after the state says that the node does not answer; DRAIN stands beside IDLE."""
    words = state.upper().rstrip("~#$@^!%-").split("+")
    return set(words) <= UP
