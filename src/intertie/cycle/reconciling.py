"""Run, second half: stop, renew and give up leases.

Who is due is asked of whole columns; only those that are become rows.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from intertie.cycle.affording import hold_micro
from intertie.cycle.digests import keep_digests
from intertie.cycle.tasks import end_attempt
from intertie.cycle.views import account_of, request_of
from intertie.ledger.booking import hold
from intertie.model.lease import Lease
from intertie.model.ledger import AccountKind
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import FINISHING, Cause, LeaseState, PoolState
from intertie.model.units import MILLI
from intertie.run.reconciling import (
    covered_ms,
    give_up,
    hear,
    is_gone,
    renewed_until,
    stop,
    to_reclaim,
    waiting_on,
)
from intertie.world.changes import Changes
from intertie.world.table import Ints, Mask
from intertie.world.world import LENT, World


def reconcile(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return what wanted and observed differ by, as explicit stops, renewals and endings."""
    changes = Changes()
    for number in _to_hear(world, now):
        changes.put(hear(world.pools.get(number), policy, now))
    alive = _alive(world)
    gone = _give_up(world, changes, alive, policy, now)
    stopped = _stop(world, changes, alive, gone, now)
    _renew(world, changes, alive, gone | stopped, policy, now)
    _wait_on(world, changes, alive, gone | stopped, now)
    keep_digests(world, changes)
    return changes


class Alive(NamedTuple):
    """The leases that are not over, in order of id: their slots, their job's and their pool's."""

    slots: Ints
    jobs: Ints
    pools: Ints


def _alive(world: World) -> Alive:
    leases = world.leases
    numbers = leases.column("id")
    slots = np.flatnonzero((numbers > 0) & (leases.column("state") <= LeaseState.STOPPING))
    slots = slots[np.argsort(numbers[slots])]
    return Alive(slots, leases.column("job_slot")[slots], leases.column("pool_slot")[slots])


def _to_hear(world: World, now: int) -> list[int]:
    """Return the pools that `hear` finds in another state than they have."""
    pools = world.pools
    state = pools.column("state")
    wanted = np.where(pools.column("is_draining") > 0, PoolState.DRAINING, PoolState.ONLINE)
    wanted = np.where(_is_silent(world, now), PoolState.LOST, wanted)
    speaks = (state != PoolState.JOINING) & (state != PoolState.LEFT)
    return pools.numbers(speaks & (wanted != state))


def _is_silent(world: World, now: int) -> Mask:
    """Return which pools' agents are overdue; axes [pool slot]."""
    pools = world.pools
    found: Mask = now - pools.column("seen_at") > pools.column("renew_for_s") * MILLI
    return found


def _give_up(world: World, changes: Changes, alive: Alive, policy: Policy, now: int) -> Mask:
    """End the leases under which nobody can be running; return which; axes [alive]."""
    leases, pools = world.leases, world.pools
    grace_s = np.maximum(policy.grace_s, leases.column("grace_s")[alive.slots])
    margin_ms = (grace_s + policy.margin_s) * MILLI
    silent_ms = (now - pools.column("seen_at") - pools.column("renew_for_s") * MILLI)[alive.pools]
    is_over = now > leases.column("until")[alive.slots] + margin_ms
    gone = np.zeros(len(alive.slots), np.bool_)
    for at in np.flatnonzero(is_over | (silent_ms > margin_ms)).tolist():
        lease = _lease_at(world, alive, at)
        may_move = request_of(world, lease.job).on_partition == "move"
        if is_gone(lease, world.pools.get(lease.pool), may_move, policy, now):
            lost = give_up(lease, now)
            changes.put(lost)
            end_attempt(world, changes, lost, policy, now)
            gone[at] = True
    return gone


def _stop(world: World, changes: Changes, alive: Alive, gone: Mask, now: int) -> Mask:
    """Tell to stop what must not run on, for the first cause of these; return which has one.

    A gang is whole or absent: its members stop when one has failed for good or waits again.
    """
    leases, jobs = world.leases, world.jobs
    blocked = world.projects.numbers(world.projects.column("is_blocked") > 0)
    is_gang = jobs.column("is_gang") > 0
    causes = (
        (Cause.CANCELLED, (jobs.column("is_cancelled") > 0)[alive.jobs]),
        (Cause.NO_FUNDS, np.isin(leases.column("project")[alive.slots], blocked)),
        (Cause.RECLAIMED, _reclaimed(world, alive, now)),
        (Cause.CANCELLED, (is_gang & (jobs.column("failed") > 0))[alive.jobs]),
        (Cause.SUPERSEDED, (is_gang & (jobs.column("queued") > 0))[alive.jobs]),
    )
    cause = np.select([mask for _, mask in causes], [int(name) for name, _ in causes], Cause.NONE)
    must: Mask = (cause != Cause.NONE) & ~gone
    is_staying = leases.column("state")[alive.slots] != LeaseState.STOPPING
    for at in np.flatnonzero(must & is_staying).tolist():
        stop_one(world, changes, _lease_at(world, alive, at), Cause(int(cause[at])), now)
    return must


def _reclaimed(world: World, alive: Alive, now: int) -> Mask:
    """Return which leases an owner who lends less than they hold takes back; axes [alive]."""
    pools = world.pools
    needs_more = np.zeros(pools.data.shape[1], np.bool_)
    for name in LENT:
        needs_more |= pools.column(f"staying_{name}") > pools.column(f"lent_{name}")
    found: set[int] = set()
    for number in pools.numbers(needs_more & ~_is_silent(world, now)):
        pool = pools.get(number)
        leases = [x for x in world.leases.where(pool=number) if x.observed < FINISHING]
        evicted = to_reclaim(leases, *(getattr(pool, f"lent_{name}") for name in LENT))
        found.update(lease.id for lease in evicted)
    taken_back: Mask = np.isin(world.leases.column("id")[alive.slots], sorted(found))
    return taken_back


def stop_one(world: World, changes: Changes, lease: Lease, cause: Cause, now: int) -> None:
    """The grace is what the job needs to save its work, at most what the owner gives."""
    saved = request_of(world, lease.job).checkpoint
    grace_s = min(lease.grace_s, saved.grace_s) if saved else lease.grace_s
    changes.put(stop(lease, cause, grace_s, now))
    task = world.tasks.value(lease.task, "index")
    changes.event(
        lease.job, "task_stopping", task=task, pool=lease.pool, cause=int(cause), grace_s=grace_s
    )


def _renew(
    world: World, changes: Changes, alive: Alive, kept: Mask, policy: Policy, now: int
) -> None:
    """Renew what runs on, soon before its lease ends, where there is money to hold for it."""
    leases = world.leases
    state, until, placed_at, started_at, grace_s, waited_ms = (
        leases.column(name)[alive.slots]
        for name in ("state", "until", "placed_at", "started_at", "grace_s", "waited_ms")
    )
    time_limit_s = world.jobs.column("time_limit_s")[alive.jobs]
    begun_at = np.where(started_at > 0, started_at, placed_at)
    ends_at = begun_at + (policy.startup_s + time_limit_s + grace_s) * MILLI
    length_ms = np.minimum(policy.lease_s * MILLI, until - placed_at - waited_ms)
    due = (
        (state == LeaseState.RUNNING)
        & ~kept
        & ~_is_silent(world, now)[alive.pools]
        & (until - now <= length_ms // 2)
        & (np.minimum(ends_at, now + policy.lease_s * MILLI) > until)
    )
    spent: Counter[int] = Counter()
    for at in np.flatnonzero(due).tolist():
        lease, end = _lease_at(world, alive, at), int(ends_at[at])
        pool = changes.rows.get(("Pool", lease.pool)) or world.pools.get(lease.pool)
        _renew_one(world, changes, spent, lease, renewed_until(lease, pool, end, policy, now), now)


def _renew_one(
    world: World, changes: Changes, spent: Counter[int], lease: Lease, until: int, now: int
) -> None:
    assert until, "a lease that is due is renewed"
    job = changes.rows.get(("Job", lease.job)) or world.jobs.get(lease.job)
    held = world.holds.get(lease.id)
    wanted = hold_micro(
        covered_ms(changed(lease, until=until)),
        lease.grace_s,
        lease.units_milli,
        lease.price_micro_per_unit_h,
    )
    # A task that began late needs no more than was held for it when it was placed.
    more = max(0, wanted - held.amount_micro)
    wallet = account_of(world, AccountKind.WALLET, lease.project)
    budget = job.budget_micro - job.spent_micro - job.held_micro
    left = world.balances.get(wallet, 0) - spent[wallet]
    if more > left or (job.budget_micro and more > budget):
        # Not renewed: the agent stops it at `until`, and the hold covers it to there.
        return
    escrow = account_of(world, AccountKind.ESCROW, lease.project)
    number = world.next.get("Transaction", 1) + len(changes.transactions)
    step = until - lease.placed_at
    full, transaction = hold(number, held, more, wallet, escrow, step, lease.token, now)
    changes.put(changed(lease, until=until), changed(job, held_micro=job.held_micro + more))
    if more:
        changes.put(full)
        changes.transactions.append(transaction)
        spent[wallet] += more


def _wait_on(world: World, changes: Changes, alive: Alive, kept: Mask, now: int) -> None:
    """Let those wait on whose agent is heard and says that their site has not started them."""
    leases = world.leases
    state, observed, is_taken, until, placed_at, waited_ms = (
        leases.column(name)[alive.slots]
        for name in ("state", "observed", "is_taken", "until", "placed_at", "waited_ms")
    )
    due = (
        (state == LeaseState.PLACED)
        & (observed == 0)
        & (is_taken > 0)
        & ~kept
        & ~_is_silent(world, now)[alive.pools]
        & (until - now <= (until - placed_at - waited_ms) // 2)
    )
    for at in np.flatnonzero(due).tolist():
        changes.put(waiting_on(_lease_at(world, alive, at), now))


def _lease_at(world: World, alive: Alive, at: int) -> Lease:
    return world.leases.get(int(world.leases.column("id")[alive.slots[at]]))
