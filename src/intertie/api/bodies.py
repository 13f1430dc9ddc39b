"""Everything an engine needs to run one attempt, from the documents of its job."""

from collections.abc import Iterable

from sqlalchemy import Connection

from intertie.api import tickets
from intertie.api.door import Door
from intertie.api.job_views import node_names
from intertie.api.kept import requests_of
from intertie.model.ids import encode
from intertie.model.job import Job, Manifest, Task
from intertie.model.lease import Lease
from intertie.model.request import Request, Software
from intertie.store import reading
from intertie.wire.sync import GangBody, LeaseBody, ResumeFile

Placement = tuple[int, ...]


def bodies(connection: Connection, door: Door, leases: list[Lease]) -> dict[int, LeaseBody]:
    """Return the body of each lease."""
    if not leases:
        return {}
    tasks = reading.by_id(connection, Task, (lease.task for lease in leases))
    requests = requests_of(connection, door, (lease.job for lease in leases))
    saved = reading.documents(connection, "checkpoint", tasks)
    jobs = reading.by_id(connection, Job, (lease.job for lease in leases))
    projects = reading.documents(connection, "project", (lease.project for lease in leases))
    nodes = node_names(connection, leases)
    gangs = _gangs(connection, (lease for lease in leases if jobs[lease.job].is_gang))
    return {
        lease.id: _body(
            door,
            lease,
            jobs[lease.job],
            tasks[lease.task],
            requests[lease.job],
            saved.get(lease.task, Manifest()),
            projects[lease.project].name,
            nodes.get(lease.node, ""),
            gangs.get(_placement(lease)),
        )
        for lease in leases
    }


def inputs_of(connection: Connection, lease: Lease) -> set[str]:
    """Return the hashes of the blobs that an attempt starts from, the only ones it may read."""
    request: Request = reading.document(connection, "request", lease.job)
    saved: Manifest = reading.document(connection, "checkpoint", lease.task) or Manifest()
    return {request.workdir, *(file.sha256 for file in saved.files)} - {""}


def _body(
    door: Door,
    lease: Lease,
    job: Job,
    task: Task,
    request: Request,
    saved: Manifest,
    project: str,
    node: str,
    gang: GangBody | None,
) -> LeaseBody:
    ticket = tickets.ticket_of(lease, job.time_limit_s)
    checkpoint = request.checkpoint
    return LeaseBody(
        job=encode("job", job.id),
        task_index=task.index,
        attempt=lease.token,
        project=project,
        name=request.name,
        command=list(request.command),
        script=request.script,
        workdir=request.workdir,
        environment=_environment(job, task, request),
        kind=request.kind,
        software=_software(request.software),
        image=request.software.image,
        node=node,
        cpus_milli=lease.cpus_milli,
        memory_bytes=lease.memory_bytes,
        disk_bytes=lease.disk_bytes,
        device_class=request.resources.device_class,
        device_count=lease.device_count,
        time_limit_s=job.time_limit_s,
        network=bool(request.network),
        requires=list(request.requires),
        results=list(request.results),
        checkpoint_path=checkpoint.path if checkpoint else "",
        checkpoint_grace_s=checkpoint.grace_s if checkpoint else 0,
        on_partition="move" if request.on_partition == "move" else "keep",
        resume=[
            ResumeFile(path=file.path, sha256=file.sha256, size_bytes=file.size_bytes)
            for file in saved.files
        ],
        gang=gang,
        attempt_token=tickets.written(ticket, door.network.secret),
    )


def _gangs(connection: Connection, leases: Iterable[Lease]) -> dict[Placement, GangBody]:
    """Return the gang of each placement: all leases of a job that one round placed on a pool.

    They were committed together and rows of leases are kept, ended ones too: whenever a body is
    made, whatever became of the others meanwhile, its gang is the same.
    """
    numbers = sorted({lease.job for lease in leases})
    if not numbers:
        return {}
    keys = ("job", "placed_at", "pool")
    found = reading.sums(connection, Lease, keys, (), reading.column(Lease, "job").in_(numbers))
    return {
        (job, placed_at, pool): GangBody(id=f"{encode('job', job)}-{placed_at}", size=size)
        for (job, placed_at, pool), (size,) in found.items()
    }


def _placement(lease: Lease) -> Placement:
    return lease.job, lease.placed_at, lease.pool


def _environment(job: Job, task: Task, request: Request) -> dict[str, str]:
    values = request.values[task.index] if request.values else ()
    return {
        **dict(request.environment),
        **dict(values),
        "INTERTIE_JOB": encode("job", job.id),
        "INTERTIE_TASK_INDEX": str(task.index),
        "INTERTIE_TASK_COUNT": str(job.task_count),
    }


def _software(wanted: Software) -> str:
    return f"{wanted.stack} {wanted.version}".strip()
