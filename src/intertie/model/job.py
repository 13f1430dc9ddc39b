"""Jobs, their tasks and the prices they were promised."""

from dataclasses import dataclass

from intertie.model.forecast import Sooner, Start
from intertie.model.refusal import Refusal
from intertie.model.sizing import Sizing


@dataclass(frozen=True)
class Job:
    """A sized request the network has taken on.

    Columnar. Its id is that of the inbox row that asked.
    """

    id: int
    project: int
    state: int
    outcome: int
    kind: int
    submitted_at: int
    ended_at: int
    quote: int
    task_count: int
    is_gang: int
    time_limit_s: int
    expected_s: int
    budget_micro: int
    spent_micro: int
    held_micro: int
    quoted_micro: int
    limit_micro_per_task: int
    is_soonest: int
    is_cancelled: int
    priority: int = 0


@dataclass(frozen=True)
class Task:
    """One unit of work of a job. Columnar. `lease` is its latest lease, 0 before the first.

    `attempts` counts leases that were made; `failures` those that count against the limit.
    """

    id: int
    job: int
    index: int
    state: int
    outcome: int
    lease: int
    attempts: int
    failures: int
    resumes: int
    queued_at: int
    ended_at: int


@dataclass(frozen=True)
class LockedPrice:
    """A price version that a job was promised on one pool."""

    pool: int
    offer: int


@dataclass(frozen=True)
class Contract:
    """The document of a job beside its request.

    How it was sized, which prices it was promised, and by when to be done (0: not promised).
    """

    sizing: Sizing
    prices: tuple[LockedPrice, ...] = ()
    deadline_at: int = 0


@dataclass(frozen=True)
class Blocked:
    """The document that says why a job waits.

    One refusal for each pool, and the nearest to a yes; when it is expected to start, and the
    smallest change that would start it sooner.
    """

    refusals: tuple[tuple[int, Refusal], ...]
    nearest: Refusal | None = None
    expected: Start | None = None
    sooner: Sooner | None = None


@dataclass(frozen=True)
class Rejected:
    """What goes with the refusal of a request that no pool can take: each pool's own reason."""

    pools: tuple[tuple[str, Refusal], ...]


@dataclass(frozen=True)
class FileEntry:
    """One file of an accepted manifest. `kind` is ``result`` or ``checkpoint``."""

    path: str
    sha256: str
    size_bytes: int
    kind: str = "result"


@dataclass(frozen=True)
class Manifest:
    """A document of a task: the result files, or the checkpoint files, that one attempt left."""

    files: tuple[FileEntry, ...] = ()
