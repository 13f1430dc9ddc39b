"""Act: which leases to stop, to give up and to renew, from what is believed at this instant."""

from collections.abc import Iterable

from intertie.model.lease import Lease
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import Cause, LeaseState, PoolState, advance
from intertie.model.units import MILLI

ALIVE = frozenset({LeaseState.PLACED, LeaseState.RUNNING, LeaseState.STOPPING})


def stop(lease: Lease, cause: Cause, grace_s: int, now: int) -> Lease:
    """Return the lease with an explicit stop; one that stops already keeps its first cause."""
    if lease.state not in (LeaseState.PLACED, LeaseState.RUNNING):
        return lease
    return changed(
        lease,
        state=advance(LeaseState(lease.state), LeaseState.STOPPING),
        stop_cause=cause,
        grace_s=grace_s,
        stop_at=now,
    )


def give_up(lease: Lease, now: int) -> Lease:
    """Return the lease as lost: what may still run there is fenced out by its token."""
    return changed(
        lease,
        state=advance(LeaseState(lease.state), LeaseState.ENDED),
        cause=Cause.LOST,
        seen_ended_at=lease.seen_ended_at or now,
    )


def is_gone(lease: Lease, pool: Pool, may_move: bool, policy: Policy, now: int) -> bool:
    """Return whether nobody can be running under this lease any more, on the network's clock.

    Up to `until` and the margins, always; sooner only where the agent itself stops the attempt
    when its session is not renewed (`on_partition: move`).
    """
    margin_ms = (max(policy.grace_s, lease.grace_s) + policy.margin_s) * MILLI
    if now > lease.until + margin_ms:
        return True
    silent_ms = now - pool.seen_at
    return may_move and silent_ms > pool.renew_for_s * MILLI + margin_ms


def to_reclaim(
    leases: Iterable[Lease], lent_cpus_milli: int, lent_memory_bytes: int, lent_device_count: int
) -> list[Lease]:
    """Return the leases to evict so that the rest fits what is lent; least work is lost first.

    Leases that are stopping already count as gone: they will be. One that waits at its site has no
    work to lose. Where only devices are too many, only leases with devices go.
    """
    staying = [lease for lease in leases if lease.state in (LeaseState.PLACED, LeaseState.RUNNING)]
    staying.sort(key=lambda lease: (not lease.seen_running_at, lease.placed_at, lease.id))
    cpus_over = sum(lease.cpus_milli for lease in staying) - lent_cpus_milli
    memory_over = sum(lease.memory_bytes for lease in staying) - lent_memory_bytes
    devices_over = sum(lease.device_count for lease in staying) - lent_device_count
    evicted: list[Lease] = []
    for lease in reversed(staying):
        if cpus_over > 0 or memory_over > 0 or (lease.device_count and devices_over > 0):
            evicted.append(lease)
            cpus_over -= lease.cpus_milli
            memory_over -= lease.memory_bytes
            devices_over -= lease.device_count
    return evicted


def hear(pool: Pool, policy: Policy, now: int) -> Pool:
    """Return the pool as online, draining or lost, by when its agent was last heard."""
    state = PoolState(pool.state)
    if state in (PoolState.JOINING, PoolState.LEFT):
        return pool
    silent_ms = now - pool.seen_at
    wanted = PoolState.DRAINING if pool.is_draining else PoolState.ONLINE
    if silent_ms > pool.renew_for_s * MILLI:
        wanted = PoolState.LOST
    if wanted == state:
        return pool
    return changed(pool, state=advance(state, wanted))


def renewed_until(lease: Lease, pool: Pool, ends_at: int, policy: Policy, now: int) -> int:
    """Return the instant to renew a running lease to, or 0 if it needs none yet.

    `ends_at` is when its time limit stops it; 0 for work without an end. An agent that is not
    heard is not renewed: the network would pay for what it cannot see.
    """
    if lease.state != LeaseState.RUNNING or pool.state == PoolState.LOST:
        return 0
    length_ms = min(policy.lease_s * MILLI, covered_ms(lease))
    if lease.until - now > length_ms // 2:
        return 0
    wanted = now + policy.lease_s * MILLI
    until = min(wanted, ends_at) if ends_at else wanted
    return until if until > lease.until else 0


def covered_ms(lease: Lease) -> int:
    """Return for how long of its run a lease stands, which is what its hold is for."""
    return lease.until - lease.placed_at - lease.waited_ms


def waiting_on(lease: Lease, now: int) -> Lease:
    """Return a lease that waits at its site moved on: it stands as long from now as it did.

    It has run up nothing yet, so that what is held for it is enough.
    """
    until = now + covered_ms(lease)
    return changed(lease, until=until, waited_ms=lease.waited_ms + until - lease.until)
