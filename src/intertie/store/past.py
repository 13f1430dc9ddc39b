"""What the network was asked for and had in a span, read from its rows; retired ones too.

As mappings of plain values: whoever lives through it again has nouns of its own.
"""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, func, select

from intertie.model.job import Job, Task
from intertie.model.lease import Lease
from intertie.model.offer import Offer
from intertie.model.parties import Pool, Project
from intertie.model.request import Request
from intertie.model.shares import Cohort, Quotas
from intertie.model.states import Outcome, PoolState
from intertie.model.units import MICRO
from intertie.store import reading, tables

JOBS_MAX = 100_000


def read_past(connection: Connection, since: int, until: int) -> dict[str, Any]:
    """Return weights by project, pools, jobs by submission, and how many are left out and why."""
    asked = [
        reading.column(Job, "submitted_at") >= since,
        reading.column(Job, "submitted_at") < until,
    ]
    jobs = reading.rows(connection, Job, *asked, limit=JOBS_MAX + 1)
    left_out: dict[str, int] = defaultdict(int)
    if len(jobs) > JOBS_MAX:
        left_out["too_many"] = len(jobs) - JOBS_MAX
        jobs = jobs[:JOBS_MAX]
    of = reading.numbers_where(Job, *asked)
    requests = reading.documents(connection, "request", of)
    leases: dict[int, list[Lease]] = defaultdict(list)
    for lease in reading.rows(connection, Lease, reading.column(Lease, "job").in_(of)):
        leases[lease.task].append(lease)
    tasks: dict[int, list[Task]] = defaultdict(list)
    for task in reading.rows(connection, Task, reading.column(Task, "job").in_(of)):
        tasks[task.job].append(task)
    told = []
    for job in jobs:
        request, own = requests.get(job.id), sorted(tasks[job.id], key=lambda task: task.index)
        if request is None or len(own) != request.task_count:
            left_out["pruned"] += 1
        elif request.kind != "batch":
            left_out["session"] += 1
        elif not any(leases[task.id] for task in own) and job.outcome == Outcome.CANCELLED:
            left_out["cancelled"] += 1
        else:
            told.append(_job(job, request, [leases[task.id] for task in own]))
    told.sort(key=lambda each: (each["submitted_at"], each["id"]))
    weights = {project.id: project.weight for project in reading.rows(connection, Project)}
    return {
        "weights": weights,
        "pools": _pools(connection, since),
        "jobs": told,
        "left_out": dict(left_out),
        "shares": _shares(connection),
    }


def _shares(connection: Connection) -> list[dict[str, Any]]:
    """Return the cohorts, and the projects that stand in one or have a quota or a floor."""
    bounds = {kind: reading.documents(connection, kind) for kind in ("quota", "cohort_quota")}
    cohorts = [
        {
            "kind": "cohort",
            "id": row.id,
            "parent": row.parent,
            "weight": row.weight,
            "floor_ppm": row.floor_ppm,
            "limits": bounds["cohort_quota"].get(row.id, Quotas()).limits,
        }
        for row in reading.rows(connection, Cohort)
    ]
    projects = [
        {
            "kind": "project",
            "id": row.id,
            "parent": row.cohort,
            "weight": row.weight,
            "floor_ppm": row.floor_ppm,
            "limits": bounds["quota"].get(row.id, Quotas()).limits,
        }
        for row in reading.rows(connection, Project)
    ]
    said = ("parent", "floor_ppm", "limits")
    return cohorts + [each for each in projects if any(each[name] for name in said)]


def _job(job: Job, request: Request, attempts: list[list[Lease]]) -> dict[str, Any]:
    """Return a job and what became of it; what never ran is expected to take what was stated."""
    is_resumed = request.checkpoint is not None
    stated_ms = (request.expected_s or request.time_limit_s) * 1000
    started = [lease.started_at for each in attempts for lease in each if lease.started_at]
    return {
        "id": job.id,
        "project": job.project,
        "request": request,
        "submitted_at": job.submitted_at,
        "work_ms": tuple(_work_ms(each, is_resumed) or stated_ms for each in attempts),
        "started_at": min(started, default=0),
        "ended_at": job.ended_at,
    }


def _work_ms(attempts: list[Lease], is_resumed: bool) -> int:
    """Return how long a task took on one reference unit: all attempts, or the longest one."""
    work = [lease.agent_ms * lease.score_millionths // MICRO for lease in attempts]
    return (sum(work) if is_resumed else max(work)) if work else 0


def _pools(connection: Connection, since: int) -> list[dict[str, Any]]:
    """Return each pool that has ever said what it has, from its first offer until it left."""
    facts = reading.documents(connection, "pool")
    offer = tables.DECIDED[Offer.__name__]
    first = select(offer.c.pool, func.min(offer.c.listed_at)).group_by(offer.c.pool)
    listed = {int(pool): int(at) for pool, at in connection.execute(first)}
    gone = (PoolState.LEFT, PoolState.LOST)
    return [
        {
            "id": pool.id,
            "provider": pool.provider,
            "facts": facts[pool.id],
            "from_at": max(since, listed[pool.id]),
            "until_at": pool.seen_at if pool.state in gone else 0,
        }
        for pool in reading.rows(connection, Pool)
        if pool.id in facts
        and pool.id in listed
        and not (pool.state in gone and pool.seen_at <= since)
    ]
