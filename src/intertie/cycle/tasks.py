"""What the end of an attempt, a task or a dependency means for its job."""

from intertie.cycle.views import history_of, request_of
from intertie.model.job import Job, Task
from intertie.model.lease import Lease
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import (
    JobState,
    Outcome,
    TaskState,
    advance,
)
from intertie.model.units import MICRO
from intertie.planner.sizing import run_of
from intertie.run.observing import RETRIED, is_evicted, outcome_of
from intertie.world.changes import Changes
from intertie.world.world import TASK_TALLIES, World


def end_attempt(world: World, changes: Changes, lease: Lease, policy: Policy, at: int) -> None:
    """Fold an ended lease into its task.

    Done, failed, cancelled, or waiting for the next attempt.
    """
    task = changes.rows.get(("Task", lease.task)) or world.tasks.get(lease.task)
    if task.lease != lease.id or task.state == TaskState.ENDED:
        return
    outcome = outcome_of(lease)
    failures = task.failures + int(lease.cause in RETRIED and not is_evicted(lease))
    if outcome == Outcome.NONE and failures >= policy.failures_max:
        outcome = Outcome.FAILED
    if outcome == Outcome.NONE and world.jobs.get(lease.job).is_cancelled:
        outcome = Outcome.CANCELLED
    if outcome == Outcome.NONE:
        _requeue(changes, task, lease, failures, at)
        return
    ended = changed(
        task,
        state=advance(TaskState(task.state), TaskState.ENDED),
        outcome=outcome,
        failures=failures,
        ended_at=at,
    )
    changes.put(ended)
    changes.event(
        lease.job,
        "task_ended",
        task=task.index,
        pool=lease.pool,
        outcome=int(outcome),
        cause=lease.cause,
    )
    if outcome == Outcome.DONE:
        changes.put(changed(changes.rows["Lease", lease.id], is_result=1))
        _remember(world, changes, lease)


def end_task(changes: Changes, task: Task, outcome: Outcome, at: int) -> None:
    """End a task that has no attempt alive."""
    ended = advance(TaskState(task.state), TaskState.ENDED)
    changes.put(changed(task, state=ended, outcome=outcome, ended_at=at))
    changes.event(task.job, "task_dropped", task=task.index, outcome=int(outcome))


def job_state(world: World, job: Job, now: int) -> Job:
    """Return the job as its tasks make it: running, waiting again, ended, settled."""
    state = JobState(job.state)
    if state == JobState.ENDED:
        is_settled = not world.jobs.value(job.id, "unsettled")
        return changed(job, state=JobState.SETTLED) if is_settled else job
    held, queued, placed, running, ended = world.jobs.values(job.id, TASK_TALLIES)
    if not held + queued + placed + running:
        outcome = _worst(world, job)
        return changed(job, state=advance(state, JobState.ENDED), outcome=outcome, ended_at=now)
    is_active = bool(running or ended)
    if state == JobState.QUEUED and is_active:
        return changed(job, state=advance(state, JobState.RUNNING))
    if state == JobState.RUNNING and not is_active and not placed:
        return changed(job, state=advance(state, JobState.QUEUED))
    return job


def _requeue(changes: Changes, task: Task, lease: Lease, failures: int, at: int) -> None:
    has_run = lease.seen_running_at > 0
    changes.put(
        changed(
            task,
            state=advance(TaskState(task.state), TaskState.QUEUED),
            failures=failures,
            resumes=task.resumes + int(has_run),
            queued_at=at,
        )
    )
    cause = lease.stop_cause or lease.cause
    changes.event(lease.job, "task_requeued", task=task.index, pool=lease.pool, cause=int(cause))


def _worst(world: World, job: Job) -> Outcome:
    for worst, name in ((Outcome.FAILED, "failed"), (Outcome.CANCELLED, "cancelled")):
        if world.jobs.value(job.id, name):
            return worst
    return Outcome.DONE


def _remember(world: World, changes: Changes, lease: Lease) -> None:
    """Keep how long this task took on one reference unit, for sizing the next job of that name."""
    if not lease.score_millionths or world.tasks.get(lease.task).resumes:
        return
    project = lease.project
    history = changes.documents.get(("history", project), history_of(world, project))
    ran_ms = min(lease.agent_ms, lease.network_ms) * lease.score_millionths // MICRO
    run = run_of(request_of(world, lease.job), ran_ms)
    changes.document("history", project, history.with_run(run))
