"""Believe: fold one observation of an attempt into its lease."""

from intertie.model.lease import Lease
from intertie.model.meter import Observation
from intertie.model.rows import changed
from intertie.model.states import (
    ENDED,
    FINISHING,
    RUNNING,
    UNPAID,
    Cause,
    LeaseState,
    Outcome,
    advance,
)

STATE_WORDS = {"pending": 0, "running": RUNNING, "finishing": FINISHING, "ended": ENDED}
CAUSE_WORDS = {cause.name.lower(): cause for cause in Cause}

# The attempt did not begin, or the pool broke it: the task may be tried again, and this counts.
# An agent that says "cancelled" when nobody cancelled is one of these.
RETRIED = frozenset(
    {Cause.START_FAILED, Cause.DECLINED, Cause.LOST, Cause.EXPIRED, Cause.CANCELLED}
)
# The network or the owner took the allocation away: the task resumes, and this does not count.
# Superseded: another task of its gang lost its place, and a gang is whole or absent.
EVICTED = frozenset({Cause.RECLAIMED, Cause.NO_FUNDS, Cause.SUPERSEDED})


def observe(lease: Lease, seen: Observation, at: int) -> Lease:
    """Return the lease as it stands after an observation that arrived at `at`.

    Meters never run backwards, and what has ended stays ended: an older message changes nothing.
    The network's meter runs from the first sight of `running` to the first sight of the end: what
    waits at its site runs up nothing.
    """
    if lease.state in (LeaseState.ENDED, LeaseState.SETTLED) or seen.state < lease.observed:
        return lease
    state = seen.state
    running_at = lease.seen_running_at
    if state >= RUNNING and not running_at and seen.cause not in UNPAID:
        running_at = at if state == RUNNING else max(lease.placed_at, at - seen.sample.ran_ms)
    ended_at = lease.seen_ended_at or (at if state >= FINISHING else 0)
    network_ms = max(lease.network_ms, (ended_at or at) - running_at) if running_at else 0
    waited_ms = lease.waited_ms
    if waited_ms and running_at and not lease.seen_running_at:
        # It begins only now: what is held is for its run from here.
        waited_ms = max(waited_ms, min(running_at, lease.until) - lease.placed_at)
    return changed(
        lease,
        state=_next_state(lease, state),
        observed=state,
        cause=seen.cause if state >= FINISHING else lease.cause,
        exit_code=seen.exit_code,
        signal=seen.signal,
        # An agent whose clock is ahead would stretch its lease: nothing starts after it was seen.
        started_at=lease.started_at or (min(seen.started_at, at) if state >= RUNNING else 0),
        seen_running_at=running_at,
        seen_ended_at=ended_at,
        agent_ms=max(lease.agent_ms, seen.sample.ran_ms),
        network_ms=network_ms,
        site_ms=max(lease.site_ms, seen.sample.site_ms),
        expected_start_at=lease.expected_start_at if state else seen.expected_start_at,
        waited_ms=waited_ms,
        cpu_ms=max(lease.cpu_ms, seen.sample.cpu_ms),
        memory_peak_bytes=max(lease.memory_peak_bytes, seen.sample.memory_peak_bytes),
    )


def outcome_of(lease: Lease) -> Outcome:
    """Return what an ended attempt means for its task; NONE if the task should wait for another.

    A program that ended well did its work, whatever it was told meanwhile.
    """
    cause = Cause(lease.cause)
    if cause == Cause.EXITED and lease.exit_code == 0:
        return Outcome.DONE
    if lease.stop_cause == Cause.CANCELLED:
        return Outcome.CANCELLED
    if is_evicted(lease) or cause in RETRIED:
        return Outcome.NONE
    return Outcome.FAILED


def is_evicted(lease: Lease) -> bool:
    """Return whether the attempt ended because its allocation was taken away."""
    return lease.stop_cause in EVICTED or lease.cause in EVICTED


def _next_state(lease: Lease, observed: int) -> int:
    state = LeaseState(lease.state)
    if observed == ENDED:
        return advance(state, LeaseState.ENDED)
    if observed >= RUNNING and state == LeaseState.PLACED:
        return advance(state, LeaseState.RUNNING)
    return state
