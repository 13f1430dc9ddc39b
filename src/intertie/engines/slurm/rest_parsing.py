"""What slurmrestd answers, read into the values of `parsing`; pure, tested on recorded answers.

A document of another form raises KeyError, TypeError or ValueError.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intertie.engines.slurm.parsing import UP, Job, NodeRow, Partition, Queued, device_of
from intertie.engines.slurm.supply import OURS

Document = Mapping[str, Any]
SPAN = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?(?::(?P<step>\d+))?$")
QUEUED = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING")


def own_jobs(document: Document) -> list[Job]:
    """Return our jobs of `/jobs`, each task of an array for itself."""
    ours = (row for row in document["jobs"] if row["name"].startswith(OURS))
    return [_job(row, index) for row in ours for index in _indices(row)]


def queued(document: Document, partitions: Sequence[str]) -> list[Queued]:
    """Return what everybody has waiting or running in some partitions, of `/jobs`."""
    there = (row for row in document["jobs"] if set(partitions) & set(row["partition"].split(",")))
    active = (row for row in there if row["job_state"] in QUEUED)
    return [_queued(row) for row in active for _ in _indices(row)]


def node_rows(document: Document, partitions: Sequence[str]) -> list[NodeRow]:
    """Return the rows of `/nodes`, one for each node in each of the partitions."""
    return [
        _node_row(row, partition)
        for row in document["nodes"]
        for partition in row["partitions"]
        if partition in partitions
    ]


def partitions(document: Document) -> dict[str, Partition]:
    """Return the partitions of `/partitions`, by name."""
    return {row["name"]: _partition(row) for row in document["partitions"]}


def submitted(document: Document) -> int:
    """Return the id of `/job/submit`; KeyError if there is none."""
    return int(document["job_id"])


def errors(document: Document) -> str:
    """Return what an answer says went wrong, the site's own words; nothing if nothing did.

    A submission that names its job was taken, and what it says beside that is a warning.
    """
    if "job_id" in document:
        return ""
    said = (each.get("description") or each.get("error", "") for each in document["errors"])
    return "; ".join(dict.fromkeys(said))


def has_no_word(document: Document) -> bool:
    """Return whether all that slurmrestd knows is that slurmctld gave it no answer."""
    numbers = ("error_number", "errno", "error_code")
    return any(each.get(name) == -1 for each in document["errors"] for name in numbers)


def _job(row: Document, index: int) -> Job:
    start_s, end_s = _whole(row["start_time"]), _whole(row["end_time"])
    base, state = row["array_job_id"] or row["job_id"], row["job_state"]
    job = Job(base, index, state, start_s, end_s, row["nodes"], row["name"], row["state_reason"])
    if not (job.is_over and start_s):
        return job
    return Job(**vars(job) | {"elapsed_s": max(0, end_s - start_s)})


def _queued(row: Document) -> Queued:
    machines = max(1, _whole(row["node_count"]))
    devices = device_of(row["tres_per_node"].removeprefix("gres:"))[1] * machines
    mib = _whole(row["memory_per_node"]) * machines
    mib = mib or _whole(row["memory_per_cpu"]) * row["cpus"]
    state, reason = row["job_state"], row["state_reason"]
    return Queued(state, row["cpus"], mib, devices, row["name"], reason)


def _node_row(row: Document, partition: str) -> NodeRow:
    states = {word.upper() for word in (row["state"], *row["state_flags"])}
    kind, devices = device_of(row["gres"])
    return NodeRow(
        name=row["name"],
        partition=partition,
        is_up=states <= UP,
        cpus=row["cpus"],
        cpus_used=row["alloc_cpus"],
        memory_mib=row["real_memory"],
        memory_used_mib=row["alloc_memory"],
        device_type=kind,
        devices=devices,
        devices_used=device_of(row["gres_used"])[1],
    )


def _partition(row: Document) -> Partition:
    grace_s, minutes = _whole(row["preemption_grace_time"]), _whole(row["max_time_limit"])
    return Partition(row["name"], "default" in row["flags"], grace_s, minutes)


def _indices(row: Document) -> Iterable[int]:
    """Return a row's places in its array: many where they wait together; -1 is no array."""
    if not row["array_job_id"]:
        return [-1]
    if row["array_task_id"] is not None:
        return [row["array_task_id"]]
    spans = map(SPAN.match, row["array_task_string"].partition("%")[0].split(","))
    return [index for span in spans if span for index in _range(span)]


def _range(span: re.Match[str]) -> range:
    return range(int(span["first"]), int(span["last"] or span["first"]) + 1, int(span["step"] or 1))


def _whole(value: Any) -> int:
    """Return a number; 0 where there is none, or no limit."""
    return max(0, value or 0)
