"""Forecasts: when what waits is expected to start, and what became of each that was shown."""

from dataclasses import dataclass

from intertie.model.refusal import Refusal, Relaxation


@dataclass(frozen=True)
class Start:
    """When a job is expected to be given its place, with a range; all instants.

    0 where it is not expected to at all as things are, or not within what was looked at
    (`is_cut`): then not before `seen_until`.
    """

    low_at: int = 0
    likely_at: int = 0
    high_at: int = 0
    seen_until: int = 0
    is_cut: int = 0


@dataclass(frozen=True)
class Sooner:
    """The smallest change that would start a job sooner: when then, and by how much."""

    relaxation: Relaxation
    starts_at: int
    gained_s: int


@dataclass(frozen=True)
class Statement:
    """One expected start that somebody was shown."""

    shown_at: int
    low_at: int
    likely_at: int
    high_at: int


@dataclass(frozen=True)
class Expected:
    """The document of a job whose expected start was shown: what has not been scored yet."""

    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Missed:
    """The document of a project: how the starts of its jobs compared with what was expected.

    The latest of them, as the wait that came over the likely one that was shown first.
    """

    ratios_ppm: tuple[int, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """One job of the queue that has tasks to place.

    Of somebody else's only the place and the expected start are told: its numbers are 0.
    """

    position: int
    start: Start
    job: int = 0
    project: int = 0
    tasks: int = 0
    nearest: Refusal | None = None
    sooner: Sooner | None = None


@dataclass(frozen=True)
class Share:
    """What one project has used by its weight: who has used least by weight is served first.

    `used_micro_su` is decayed use and what its leases should add.
    """

    project: int
    weight: int
    used_micro_su: int
    waiting_tasks: int
    running_tasks: int


@dataclass(frozen=True)
class Queue:
    """The document that answers who asks for the queue; `count` is how many jobs wait in all.

    `explained` of the jobs that are shown were also told what would start them sooner.
    """

    waiting: tuple[Waiting, ...]
    count: int
    explained: int
    shares: tuple[Share, ...]
