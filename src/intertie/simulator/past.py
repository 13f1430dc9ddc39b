"""What a network was asked for and had in a span of time: what a what-if lives through again."""

from dataclasses import dataclass, field

from intertie.model.parties import PoolFacts
from intertie.model.request import Request
from intertie.model.shares import Limit


@dataclass(frozen=True)
class PastPool:
    """One pool as its agent last described it, there `from_at` until `until_at` (0: to the end)."""

    id: int
    provider: int
    facts: PoolFacts
    from_at: int
    until_at: int = 0


@dataclass(frozen=True)
class PastJob:
    """One job that was taken on. `work_ms` is what each task took on one reference unit.

    `started_at` and `ended_at` are what became of it: its first task's start, 0 for never.
    """

    id: int
    project: int
    request: Request
    submitted_at: int
    work_ms: tuple[int, ...]
    started_at: int = 0
    ended_at: int = 0


@dataclass(frozen=True)
class PastShare:
    """How a project or a cohort stood in the share tree: `kind` is ``project`` or ``cohort``."""

    kind: str
    id: int
    weight: int
    parent: int = 0
    floor_ppm: int = 0
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Past:
    """Projects by id with their weight, pools, and the jobs in order of submission.

    `shares` are the cohorts, and the projects that stand in one or have a quota or a floor.
    `left_out` counts jobs by the reason why they cannot be lived through again.
    """

    since: int
    until: int
    weights: dict[int, int]
    pools: tuple[PastPool, ...]
    jobs: tuple[PastJob, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    shares: tuple[PastShare, ...] = ()
