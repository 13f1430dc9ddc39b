"""States as one table for each noun.

There is one door, `advance`; each edge that surprises says why.
"""

from enum import IntEnum
from typing import TypeVar


class JobState(IntEnum):
    """Where a job is on the river."""

    HELD = 0
    QUEUED = 1
    RUNNING = 2
    ENDED = 3
    SETTLED = 4


class TaskState(IntEnum):
    """Where one task of a job is."""

    HELD = 0
    QUEUED = 1
    PLACED = 2
    RUNNING = 3
    ENDED = 4


class LeaseState(IntEnum):
    """Where one lease, and so one attempt, is."""

    PLACED = 0
    RUNNING = 1
    STOPPING = 2
    ENDED = 3
    SETTLED = 4


# What an agent has said of an attempt, in `Lease.observed`; 0: that it waits. From FINISHING on its
# processes are gone: its files are on their way, and of its room it holds the disk only.
RUNNING, FINISHING, ENDED = 1, 2, 3


class QuoteState(IntEnum):
    """Whether a quote still binds the network."""

    FIRM = 0
    ACCEPTED = 1
    LAPSED = 2


class HoldState(IntEnum):
    """Whether money is still set aside."""

    OPEN = 0
    CLOSED = 1


class PoolState(IntEnum):
    """Whether a pool's agent is heard, and whether it takes work."""

    JOINING = 0
    ONLINE = 1
    LOST = 2
    DRAINING = 3
    LEFT = 4


class OfferState(IntEnum):
    """Whether an offer takes new orders."""

    LISTED = 0
    DELISTED = 1


class Outcome(IntEnum):
    """How an attempt, a task or a job ended."""

    NONE = 0
    DONE = 1
    FAILED = 2
    CANCELLED = 3


class Cause(IntEnum):
    """Why an attempt ended, or why it was told to stop."""

    NONE = 0
    EXITED = 1
    SIGNALLED = 2
    TIMED_OUT = 3
    OUT_OF_MEMORY = 4
    START_FAILED = 5
    DECLINED = 6
    CANCELLED = 7
    RECLAIMED = 8
    EXPIRED = 9
    LOST = 10
    NO_FUNDS = 11
    OUT_OF_DISK = 12
    SUPERSEDED = 13


# An attempt that ended so never began, and costs nothing.
UNPAID = frozenset({Cause.START_FAILED, Cause.DECLINED})

NEXT: dict[type[IntEnum], dict[IntEnum, frozenset[IntEnum]]] = {
    JobState: {
        JobState.HELD: frozenset({JobState.QUEUED, JobState.ENDED}),
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.ENDED}),
        # queued: every running task was evicted and all of them wait again.
        JobState.RUNNING: frozenset({JobState.QUEUED, JobState.ENDED}),
        JobState.ENDED: frozenset({JobState.SETTLED}),
        JobState.SETTLED: frozenset(),
    },
    TaskState: {
        TaskState.HELD: frozenset({TaskState.QUEUED, TaskState.ENDED}),
        TaskState.QUEUED: frozenset({TaskState.PLACED, TaskState.ENDED}),
        # queued: the start failed, was declined, or was lost before it was seen to run.
        TaskState.PLACED: frozenset({TaskState.RUNNING, TaskState.QUEUED, TaskState.ENDED}),
        # queued: the attempt was evicted, and the task waits for its next one.
        TaskState.RUNNING: frozenset({TaskState.QUEUED, TaskState.ENDED}),
        TaskState.ENDED: frozenset(),
    },
    LeaseState: {
        # ended: the agent declined it, the start failed, or it ran out before it was seen.
        LeaseState.PLACED: frozenset({LeaseState.RUNNING, LeaseState.STOPPING, LeaseState.ENDED}),
        LeaseState.RUNNING: frozenset({LeaseState.STOPPING, LeaseState.ENDED}),
        LeaseState.STOPPING: frozenset({LeaseState.ENDED}),
        LeaseState.ENDED: frozenset({LeaseState.SETTLED}),
        LeaseState.SETTLED: frozenset(),
    },
    QuoteState: {
        QuoteState.FIRM: frozenset({QuoteState.ACCEPTED, QuoteState.LAPSED}),
        QuoteState.ACCEPTED: frozenset(),
        QuoteState.LAPSED: frozenset(),
    },
    HoldState: {
        HoldState.OPEN: frozenset({HoldState.CLOSED}),
        HoldState.CLOSED: frozenset(),
    },
    PoolState: {
        PoolState.JOINING: frozenset({PoolState.ONLINE, PoolState.LEFT}),
        PoolState.ONLINE: frozenset({PoolState.LOST, PoolState.DRAINING, PoolState.LEFT}),
        # online, draining: the agent was only cut off, and is heard again.
        PoolState.LOST: frozenset({PoolState.ONLINE, PoolState.DRAINING, PoolState.LEFT}),
        PoolState.DRAINING: frozenset({PoolState.ONLINE, PoolState.LOST, PoolState.LEFT}),
        PoolState.LEFT: frozenset(),
    },
    OfferState: {
        OfferState.LISTED: frozenset({OfferState.DELISTED}),
        OfferState.DELISTED: frozenset({OfferState.LISTED}),
    },
}


S = TypeVar("S", bound=IntEnum)


def advance(state: S, to: S) -> S:
    """Return `to`; a move that the table does not hold is our mistake and stops the round."""
    assert to in NEXT[type(state)][state], f"{state!r} cannot become {to!r}"
    return to
