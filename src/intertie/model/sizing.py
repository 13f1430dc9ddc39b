"""What a request needs, with the assumptions that led there."""

from dataclasses import dataclass

KEPT_RUNS = 200
KEPT_RUNS_BY_NAME = 20


@dataclass(frozen=True)
class Sizing:
    """Duration and size of one task and of the whole job on reference units.

    `units_milli` is the share of a unit one task is billed for where nodes are balanced; each
    pool bills the dominant share of its own node. `source` says where `expected_s` came from:
    stated, history, or time_limit.
    """

    task_count: int
    expected_s: int
    units_milli: int
    service_units_micro: int
    profile: str
    source: str
    samples: int = 0


@dataclass(frozen=True)
class Run:
    """One task that ran to its end: its job's name, size and time limit, and how long it took.

    On one reference unit. `units_milli` and `time_limit_s` are 0 where it is not known.
    """

    name: str
    units_milli: int
    time_limit_s: int
    ran_ms: int


@dataclass(frozen=True)
class History:
    """The document of a project that remembers its latest runs, the oldest first.

    `runs_ms` is what older networks wrote down, by name and without more; it is read, and fades as
    newer runs come.
    """

    runs_ms: tuple[tuple[str, tuple[int, ...]], ...] = ()
    runs: tuple[Run, ...] = ()

    def all(self) -> tuple[Run, ...]:
        """Return every remembered run, the oldest first."""
        old = [Run(name, 0, 0, ran_ms) for name, each in self.runs_ms for ran_ms in each]
        return (*old, *self.runs)

    def with_run(self, run: Run) -> "History":
        """Return the history with one more run; of each name and in all only the latest stay."""
        runs = (*self.all(), run)
        of_name = [at for at, each in enumerate(runs) if each.name == run.name]
        dropped = set(of_name[:-KEPT_RUNS_BY_NAME])
        kept = [each for at, each in enumerate(runs) if at not in dropped]
        return History((), tuple(kept[-KEPT_RUNS:]))
