"""Admit, second half: jobs that waited for others, and what waits of cancelled ones.

A job may have a hundred thousand tasks: each step takes so many of them in one round as no round
is long by, and goes on in the next.
"""

from intertie.cycle.admitting import has_failed
from intertie.cycle.tasks import end_task
from intertie.cycle.views import request_of, tasks_in
from intertie.model.job import Job
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import JobState, Outcome, TaskState, advance
from intertie.world.changes import Changes
from intertie.world.world import World

TASKS_MAX = 4_000


def release_held(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the jobs whose dependencies have ended: queued if all are done, else cancelled."""
    changes, jobs = Changes(), world.jobs
    is_held = (jobs.column("state") == JobState.HELD) & (jobs.column("is_cancelled") == 0)
    for number in jobs.numbers(is_held):
        before = [jobs.get(other) for other in request_of(world, number).after]
        if any(has_failed(each) for each in before):
            changes.put(changed(jobs.get(number), is_cancelled=1))
            changes.event(number, "dependency_failed")
        elif all(each.outcome == Outcome.DONE for each in before):
            _release(world, changes, jobs.get(number), now)
    return changes


def drop_cancelled(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the end of what waits of cancelled jobs."""
    changes, jobs = Changes(), world.jobs
    waits = (jobs.column("held") + jobs.column("queued")) > 0
    for number in jobs.numbers((jobs.column("is_cancelled") > 0) & waits):
        left = TASKS_MAX - len(changes.rows)
        for task in tasks_in(world, number, TaskState.HELD, TaskState.QUEUED)[:left]:
            end_task(changes, world.tasks.get(task), Outcome.CANCELLED, now)
    return changes


def _release(world: World, changes: Changes, job: Job, now: int) -> None:
    held = tasks_in(world, job.id, TaskState.HELD)
    left = max(0, TASKS_MAX - len(changes.rows))
    for number in held[:left]:
        task = world.tasks.get(number)
        queued = advance(TaskState(task.state), TaskState.QUEUED)
        changes.put(changed(task, state=queued, queued_at=now))
    if len(held) <= left:
        changes.put(changed(job, state=advance(JobState(job.state), JobState.QUEUED)))
        changes.event(job.id, "job_queued")
