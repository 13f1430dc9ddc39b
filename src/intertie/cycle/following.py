"""Run, last part: follow each job to its end, and let go of what is over."""

from collections.abc import Iterator

import numpy as np

from intertie.cycle.releasing import TASKS_MAX
from intertie.cycle.tasks import job_state
from intertie.cycle.views import request_of, tasks_of
from intertie.model.job import Job
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import JobState, QuoteState, advance
from intertie.model.units import HOUR_MS, MILLI
from intertie.world.changes import Changes
from intertie.world.world import World


def follow(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the jobs as their tasks make them, quotes that lapse, and what leaves the World."""
    changes = Changes()
    for job in _moving(world):
        _job(world, changes, job, now)
    _lapse(world, changes, now)
    _retire_tasks(world, changes)
    _retire_jobs(world, changes, policy, now)
    return changes


def _moving(world: World) -> Iterator[Job]:
    """Return the jobs whose tasks or leases say that their state is another, by their sums."""
    jobs = world.jobs
    state, placed, running, ended = map(jobs.column, ("state", "placed", "running", "ended"))
    waiting = jobs.column("held") + jobs.column("queued")
    has_begun = (running > 0) | (ended > 0)
    has_ended = (waiting == 0) & (placed == 0) & (running == 0)
    mask = (
        ((state < JobState.ENDED) & has_ended)
        | ((state == JobState.QUEUED) & has_begun)
        | ((state == JobState.RUNNING) & ~has_begun & (placed == 0))
        | ((state == JobState.ENDED) & (jobs.column("unsettled") == 0))
    )
    for number in jobs.numbers(mask):
        yield jobs.get(number)


def _job(world: World, changes: Changes, job: Job, now: int) -> None:
    moved = job_state(world, job, now)
    changes.put(moved)
    _tell(changes, moved)


def _tell(changes: Changes, job: Job) -> None:
    if job.state == JobState.SETTLED:
        changes.event(job.id, "job_settled", paid_micro=job.spent_micro)
    elif job.state == JobState.ENDED:
        changes.event(job.id, "job_ended", outcome=int(job.outcome))
    else:
        is_waiting = job.state == JobState.QUEUED
        changes.event(job.id, "job_waits" if is_waiting else "job_started")


def _lapse(world: World, changes: Changes, now: int) -> None:
    """A quote that has lapsed leaves the World a while later.

    Until then its late user hears why.
    """
    quotes = world.quotes
    state, until = quotes.column("state"), quotes.column("until")
    is_firm = state == QuoteState.FIRM
    for number in quotes.numbers(is_firm & (until <= now)):
        quote = quotes.get(number)
        lapsed = advance(QuoteState(quote.state), QuoteState.LAPSED)
        changes.put(changed(quote, state=lapsed))
    changes.retire("Quote", *quotes.numbers(~is_firm & (until + HOUR_MS <= now)))


def _retire_tasks(world: World, changes: Changes) -> None:
    """The tasks of settled jobs leave, no more in one round than no round is long by."""
    jobs = world.jobs
    over = (jobs.column("state") == JobState.SETTLED) & (jobs.column("ended") > 0)
    left = TASKS_MAX
    for number in jobs.numbers(over):
        leaving = tasks_of(world, number)[:left]
        changes.retire("Task", *leaving)
        left -= len(leaving)


def _retire_jobs(world: World, changes: Changes, policy: Policy, now: int) -> None:
    """A settled job stays for a while, and as long as one that is held waits for it.

    Of very many only the latest stay.
    """
    jobs = world.jobs
    is_over = (jobs.column("state") == JobState.SETTLED) & (jobs.column("ended") == 0)
    is_old = jobs.column("ended_at") + policy.retain_s * MILLI <= now
    over = jobs.numbers(is_over & is_old)
    if np.count_nonzero(is_over) - len(over) > policy.retain_max:
        over = jobs.numbers(is_over)[: -policy.retain_max]
    if over:
        held = jobs.numbers(jobs.used() & (jobs.column("state") == JobState.HELD))
        awaited = {number for job in held for number in request_of(world, job).after}
        changes.retire("Job", *(number for number in over if number not in awaited))
