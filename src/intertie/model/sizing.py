"""What a request needs, with the assumptions that led there."""

from dataclasses import dataclass


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
class History:
    """The document of a project that remembers run times: for each job name the latest, in ms.

    Times are of one task on one reference unit.
    """

    runs_ms: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def of(self, name: str) -> tuple[int, ...]:
        """Return the remembered run times of the jobs with this name, oldest first."""
        return dict(self.runs_ms).get(name, ())

    def with_run(self, name: str, ran_ms: int, keep: int = 20) -> "History":
        """Return the history with one more run; only the latest `keep` are remembered."""
        runs = dict(self.runs_ms)
        runs[name] = (*runs.get(name, ()), ran_ms)[-keep:]
        return History(tuple(sorted(runs.items())))
