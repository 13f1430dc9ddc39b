"""Jobs, tasks, attempts, files and events as the contract shows them; by set queries."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from intertie.api.speech import spoken
from intertie.cycle.admitting import KINDS
from intertie.model.ids import encode
from intertie.model.job import Job, Manifest, Task
from intertie.model.lease import Attempted, Lease
from intertie.model.meter import UsageRecord
from intertie.model.parties import Node
from intertie.model.request import Request
from intertie.model.states import Cause, JobState, LeaseState, Outcome, TaskState
from intertie.model.units import MILLI
from intertie.store import feed, reading
from intertie.wire.jobs import AttemptView, FileView, JobEvent, JobView, TaskView

_RUNNING = (int(LeaseState.RUNNING), int(LeaseState.STOPPING))
Names = dict[int, tuple[str, str]]


def job_views(connection: Connection, jobs: list[Job]) -> list[JobView]:
    """Return jobs with what their tasks and leases do now; a list leaves the specs out."""
    numbers = [job.id for job in jobs]
    requests = reading.documents(connection, "request", numbers)
    projects = reading.documents(connection, "project", (job.project for job in jobs))
    tasks, providers = _doing(connection, numbers)
    return [
        _job(
            job,
            requests[job.id].name,
            projects[job.project].name,
            tasks.get(job.id, {}),
            providers.get(job.id, {}),
        )
        for job in jobs
    ]


def job_view(connection: Connection, job: Job) -> JobView:
    """Return one job with the spec that was submitted."""
    spec = reading.asked(connection, job.id).get("spec", {})
    return job_views(connection, [job])[0].model_copy(update={"spec": spec})


def submitted_view(connection: Connection, job: Job, name: str, spec: dict[str, Any]) -> JobView:
    """Return a job whose name and spec whoever submits it has just said: they are not read."""
    project = reading.document(connection, "project", job.project).name
    tasks, providers = _doing(connection, [job.id])
    view = _job(job, name, project, tasks.get(job.id, {}), providers.get(job.id, {}))
    return view.model_copy(update={"spec": spec})


def _doing(
    connection: Connection, jobs: list[int]
) -> tuple[dict[int, dict[str, int]], dict[int, dict[str, int]]]:
    """Return for each job how many tasks are in each state, and run at each provider."""
    column = reading.column
    states = reading.sums(connection, Task, ("job", "state"), (), column(Task, "job").in_(jobs))
    running = reading.sums(
        connection,
        Lease,
        ("job", "pool"),
        (),
        column(Lease, "job").in_(jobs),
        column(Lease, "state").in_(_RUNNING),
    )
    names = reading.pool_names(connection) if running else {}
    tasks: dict[int, dict[str, int]] = defaultdict(dict)
    for (job, state), (count,) in sorted(states.items()):
        tasks[job][TaskState(state).name.lower()] = count
    providers: dict[int, dict[str, int]] = defaultdict(dict)
    for (job, pool), (count,) in sorted(running.items()):
        name = names[pool][0]
        providers[job][name] = providers[job].get(name, 0) + count
    return tasks, providers


def task_views(connection: Connection, request: Request, tasks: list[Task]) -> list[TaskView]:
    """Return tasks of one request with every attempt at them."""
    column = reading.column
    leases = reading.rows(connection, Lease, column(Lease, "task").in_([task.id for task in tasks]))
    nodes = node_names(connection, leases)
    names = reading.pool_names(connection)
    told = reading.documents(connection, "attempt", (lease.id for lease in leases))
    attempts: dict[int, list[AttemptView]] = defaultdict(list)
    for lease in leases:
        attempts[lease.task].append(
            _attempt(lease, names, nodes[lease.node], told.get(lease.id, Attempted()))
        )
    return [
        TaskView(
            index=task.index,
            state=TaskState(task.state).name.lower(),
            outcome=Outcome(task.outcome).name.lower(),
            resumes=task.resumes,
            values=dict(request.values[task.index]) if request.values else {},
            attempts=attempts.get(task.id, []),
        )
        for task in tasks
    ]


def file_views(connection: Connection, job: Job) -> list[FileView]:
    """Return every file that the job's accepted attempts left, by task, kind and path."""
    column = reading.column
    tasks = reading.rows(connection, Task, column(Task, "job") == job.id)
    numbers = reading.numbers_where(Task, column(Task, "job") == job.id)
    found = [
        (task.index, kind, file)
        for kind in ("result", "checkpoint")
        for manifests in (reading.documents(connection, kind, numbers),)
        for task in tasks
        for file in manifests.get(task.id, Manifest()).files
    ]
    found.sort(key=lambda each: (each[0], each[1] != "result", each[2].path))
    return [
        FileView(
            task=index, path=file.path, size_bytes=file.size_bytes, sha256=file.sha256, kind=kind
        )
        for index, kind, file in found
    ]


def event_views(
    connection: Connection, job: int, after: int, limit: int, lang: str
) -> list[JobEvent]:
    """Return a job's events after a number, with names in the place of numbers."""
    return [
        JobEvent(
            number=each.number,
            at=each.at,
            job=encode("job", each.job),
            code=each.code,
            text=spoken(lang, f"event.{each.code}", **each.values),
            values=each.values,
        )
        for each in feed.of_job(connection, job, after, limit)
    ]


def cause_of(lease: Lease) -> str:
    """Return why an attempt ended; who was told to stop ended for that reason, unless done."""
    is_done = lease.cause == Cause.EXITED and lease.exit_code == 0
    cause = lease.cause if is_done else lease.stop_cause or lease.cause
    return Cause(cause).name.lower()


def charged(connection: Connection, jobs: Iterable[int]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return (records, amount_micro, fee_micro, service_units_micro, disputed) by lease."""
    return reading.sums(
        connection,
        UsageRecord,
        ("lease",),
        ("amount_micro", "fee_micro", "service_units_micro", "is_disputed"),
        reading.column(UsageRecord, "job").in_(list(jobs)),
    )


def node_names(connection: Connection, leases: Iterable[Lease]) -> dict[int, str]:
    """Return the name of each lease's node, as its pool's agent says it now."""
    nodes = reading.by_id(connection, Node, (lease.node for lease in leases))
    facts = reading.documents(connection, "pool", (node.pool for node in nodes.values()))
    return {
        number: facts[node.pool].nodes[node.index].name
        if node.index < len(facts[node.pool].nodes)
        else ""
        for number, node in nodes.items()
    }


def _job(
    job: Job, name: str, project: str, tasks: dict[str, int], providers: dict[str, int]
) -> JobView:
    return JobView(
        id=encode("job", job.id),
        name=name,
        project=project,
        kind=KINDS[job.kind],
        state=JobState(job.state).name.lower(),
        outcome=Outcome(job.outcome).name.lower(),
        submitted_at=job.submitted_at,
        ended_at=job.ended_at or None,
        quote=encode("quote", job.quote) if job.quote else None,
        task_count=job.task_count,
        tasks_by_state=tasks,
        running_by_provider=providers,
        spent_micro=job.spent_micro,
        held_micro=job.held_micro,
        budget_micro=job.budget_micro or None,
    )


def _attempt(lease: Lease, names: Names, node: str, told: Attempted) -> AttemptView:
    provider, pool = names[lease.pool]
    waits = lease.state == LeaseState.PLACED
    return AttemptView(
        lease=encode("lease", lease.id),
        token=lease.token,
        provider=provider,
        pool=pool,
        node=node,
        state=LeaseState(lease.state).name.lower(),
        cause=cause_of(lease),
        exit_code=lease.exit_code if lease.exit_code >= 0 else None,
        signal=lease.signal or None,
        placed_at=lease.placed_at,
        expected_start_at=(lease.expected_start_at or None) if waits else None,
        started_at=lease.started_at or lease.seen_running_at or None,
        ended_at=lease.seen_ended_at or None,
        agent_s=lease.agent_ms / MILLI,
        network_s=lease.network_ms / MILLI,
        site_s=lease.site_ms / MILLI if lease.site_ms else None,
        site_node=told.node,
        image=told.image,
        amount_micro=lease.charged_micro,
    )
