"""Run, second half: stop, renew and give up leases; follow each job to its end."""

from dataclasses import replace

from intertie.cycle.affording import hold_micro
from intertie.cycle.tasks import end_attempt, job_state
from intertie.cycle.views import account_of, request_of
from intertie.ledger.booking import hold
from intertie.model.job import Job
from intertie.model.lease import Lease
from intertie.model.ledger import AccountKind
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.states import (
    Cause,
    JobState,
    Outcome,
    PoolState,
    QuoteState,
    TaskState,
    advance,
)
from intertie.model.units import MILLI
from intertie.run.reconciling import ALIVE, give_up, hear, is_gone, renewed_until, stop, to_reclaim
from intertie.world.changes import Changes
from intertie.world.world import World


def reconcile(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return what wanted and observed differ by, as explicit stops, renewals and endings."""
    changes = Changes()
    for pool in world.pools.rows():
        heard = hear(pool, policy, now)
        if heard != pool:
            changes.put(heard)
        _pool(world, changes, heard, policy, now)
    for job in world.jobs.rows():
        if job.state != JobState.SETTLED:
            _job(world, changes, job, now)
    _lapse(world, changes, now)
    _retire_settled(world, changes, policy, now)
    return changes


def _pool(world: World, changes: Changes, pool: Pool, policy: Policy, now: int) -> None:
    leases = [lease for lease in world.leases.where(pool=pool.id) if lease.state in ALIVE]
    reclaimed = set()
    if pool.state != PoolState.LOST:
        reclaimed = {
            lease.id for lease in to_reclaim(leases, pool.lent_cpus_milli, pool.lent_memory_bytes)
        }
    for lease in leases:
        may_move = request_of(world, lease.job).on_partition == "move"
        if is_gone(lease, pool, may_move, policy, now):
            changes.put(give_up(lease, now))
            end_attempt(world, changes, changes.rows["Lease", lease.id], policy, now)
            continue
        cause = _stop_cause(world, lease, lease.id in reclaimed)
        if cause != Cause.NONE:
            _stop(world, changes, lease, cause, now)
            continue
        _renew(world, changes, lease, pool, policy, now)


def _stop_cause(world: World, lease: Lease, is_reclaimed: bool) -> Cause:
    if world.jobs.get(lease.job).is_cancelled:
        return Cause.CANCELLED
    if world.projects.get(lease.project).is_blocked:
        return Cause.NO_FUNDS
    if is_reclaimed:
        return Cause.RECLAIMED
    return _gang_cause(world, lease)


def _gang_cause(world: World, lease: Lease) -> Cause:
    """Return why a member of a gang must stop for the sake of the others, if it must."""
    if not world.jobs.get(lease.job).is_gang:
        return Cause.NONE
    if world.tasks.counts("outcome", job=lease.job).get(Outcome.FAILED):
        return Cause.CANCELLED
    is_broken = world.tasks.counts("state", job=lease.job).get(TaskState.QUEUED)
    return Cause.SUPERSEDED if is_broken else Cause.NONE


def _stop(world: World, changes: Changes, lease: Lease, cause: Cause, now: int) -> None:
    """The grace is what the job needs to save its work, at most what the owner gives."""
    saved = request_of(world, lease.job).checkpoint
    grace_s = min(lease.grace_s, saved.grace_s) if saved else lease.grace_s
    stopped = stop(lease, cause, grace_s, now)
    if stopped == lease:
        return
    changes.put(stopped)
    task = world.tasks.get(lease.task)
    changes.event(lease.job, "task_stopping", task=task.index, pool=lease.pool, cause=int(cause))


def _renew(
    world: World, changes: Changes, lease: Lease, pool: Pool, policy: Policy, now: int
) -> None:
    job = changes.rows.get(("Job", lease.job), world.jobs.get(lease.job))
    begun_at = lease.started_at or lease.placed_at
    whole_s = policy.startup_s + job.time_limit_s + lease.grace_s
    until = renewed_until(lease, pool, begun_at + whole_s * MILLI, policy, now)
    if not until:
        return
    held = world.holds.get(lease.id)
    wanted = hold_micro(
        until - lease.placed_at, lease.grace_s, lease.units_milli, lease.price_micro_per_unit_h
    )
    more = wanted - held.amount_micro
    wallet = account_of(world, AccountKind.WALLET, lease.project)
    spent = sum(
        posting.amount_micro
        for t in changes.transactions
        for posting in t.postings
        if posting.source == wallet
    )
    budget = job.budget_micro - job.spent_micro - job.held_micro
    if more > world.balances.get(wallet, 0) - spent or (job.budget_micro and more > budget):
        # Not renewed: the agent stops it at `until`, and the hold covers it to there.
        return
    escrow = account_of(world, AccountKind.ESCROW, lease.project)
    number = world.next.get("Transaction", 1) + len(changes.transactions)
    step = until - lease.placed_at
    full, transaction = hold(number, held, more, wallet, escrow, step, lease.token, now)
    changes.put(replace(lease, until=until), replace(job, held_micro=job.held_micro + more))
    if more:
        changes.put(full)
        changes.transactions.append(transaction)


def _job(world: World, changes: Changes, job: Job, now: int) -> None:
    job = changes.rows.get(("Job", job.id), job)
    moved = job_state(world, changes, job, now)
    if moved == job:
        return
    changes.put(moved)
    _tell(changes, moved)
    if moved.state == JobState.SETTLED:
        leases = world.leases.numbers_where(job=job.id)
        changes.retire("Task", *world.tasks.numbers_where(job=job.id))
        changes.retire("Lease", *leases)
        changes.retire("Hold", *leases)


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
    for quote in world.quotes.rows():
        if quote.state == QuoteState.FIRM and now >= quote.until:
            state = advance(QuoteState(quote.state), QuoteState.LAPSED)
            changes.put(replace(quote, state=state))
        elif quote.state != QuoteState.FIRM and now >= quote.until + 3_600_000:
            changes.retire("Quote", quote.id)


def _retire_settled(world: World, changes: Changes, policy: Policy, now: int) -> None:
    """A settled job stays for a day, and as long as one that is held waits for it."""
    held = world.jobs.where(state=JobState.HELD)
    awaited = {number for job in held for number in request_of(world, job.id).after}
    for job in world.jobs.where(state=JobState.SETTLED):
        if job.id not in awaited and now >= job.ended_at + policy.retain_s * MILLI:
            changes.retire("Job", job.id)
