"""Meter and settle: usage records from both meters, and the transactions that pay for them."""

import numpy as np

from intertie.cycle.shares import decayed
from intertie.cycle.views import account_of
from intertie.ledger.booking import charge, left_micro, release
from intertie.metering.usage import meter
from intertie.model.lease import Hold, Lease
from intertie.model.ledger import AccountKind
from intertie.model.meter import UsageRecord
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import LeaseState, advance
from intertie.model.units import MILLI
from intertie.world.changes import Changes
from intertie.world.world import World


def settle(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the usage that is due, each record paid from its hold, and what is left given back."""
    changes = Changes()
    for number in _due(world, policy):
        lease = world.leases.get(number)
        first = world.next.get("UsageRecord", 1) + len(changes.usage)
        records = meter(lease, policy, first)
        if records:
            _lease(world, changes, lease, records, policy, now)
    return changes


def _due(world: World, policy: Policy) -> list[int]:
    """Return the leases that have ended or whose meters have all passed a slice's end."""
    leases = world.leases
    state = leases.column("state")
    slice_ends_ms = (leases.column("slice_index") + 1) * (policy.slice_s * MILLI)
    has_run_ms = np.minimum(leases.column("agent_ms"), leases.column("network_ms"))
    site_ms = leases.column("site_ms")
    has_run_ms = np.where(site_ms > 0, np.minimum(has_run_ms, site_ms), has_run_ms)
    is_passed = (state < LeaseState.ENDED) & (has_run_ms >= slice_ends_ms)
    return leases.numbers((state == LeaseState.ENDED) | is_passed)


def _lease(
    world: World,
    changes: Changes,
    lease: Lease,
    records: list[UsageRecord],
    policy: Policy,
    now: int,
) -> None:
    held = world.holds.get(lease.id)
    escrow = account_of(world, AccountKind.ESCROW, lease.project)
    provider = world.pools.value(lease.pool, "provider")
    earnings = account_of(world, AccountKind.EARNINGS, provider)
    for record in records:
        changes.usage.append(record)
        if record.amount_micro:
            number = _next(world, changes)
            held, paid = charge(number, held, record, escrow, earnings, now)
            changes.transactions.append(paid)
    last = records[-1]
    spent = sum(record.amount_micro for record in records)
    released = 0
    if last.is_final:
        held, released = _release(world, changes, held, lease, now)
    changes.put(held)
    changes.put(
        changed(
            lease,
            charged_ms=last.paid_ms,
            charged_micro=lease.charged_micro + spent,
            slice_index=last.slice_index + 1,
            state=advance(LeaseState.ENDED, LeaseState.SETTLED) if last.is_final else lease.state,
        )
    )
    if last.is_final:
        changes.retire("Lease", lease.id)
        changes.retire("Hold", lease.id)
    _account(world, changes, lease, records, spent, released, policy, now)


def _release(
    world: World, changes: Changes, held: Hold, lease: Lease, now: int
) -> tuple[Hold, int]:
    wallet = account_of(world, AccountKind.WALLET, lease.project)
    escrow = account_of(world, AccountKind.ESCROW, lease.project)
    rest = left_micro(held)
    closed, transaction = release(_next(world, changes), held, wallet, escrow, lease.token, now)
    if transaction is not None:
        changes.transactions.append(transaction)
    return closed, rest


def _account(
    world: World,
    changes: Changes,
    lease: Lease,
    records: list[UsageRecord],
    spent: int,
    released: int,
    policy: Policy,
    now: int,
) -> None:
    """Keep the job's and the project's sums in step with what was booked."""
    job = changes.rows.get(("Job", lease.job)) or world.jobs.get(lease.job)
    held = job.held_micro - spent - released
    changes.put(changed(job, spent_micro=job.spent_micro + spent, held_micro=held))
    project = changes.rows.get(("Project", lease.project)) or world.projects.get(lease.project)
    project = decayed(project, policy, now)
    used = sum(record.service_units_micro for record in records)
    used += project.usage_micro_su
    changes.put(changed(project, usage_micro_su=used, served_at=now))


def _next(world: World, changes: Changes) -> int:
    return world.next.get("Transaction", 1) + len(changes.transactions)
