"""One trace: jobs as columns, oldest first."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MOST = 10**10  # of seconds or units: three centuries, and what int64 can add up
S = 1000  # milliseconds


class BadTrace(ValueError):
    """The file is not what its name says; the message names the line and the field."""


@dataclass(frozen=True)
class Trace:
    """Jobs by submission; axes [job]; times in milliseconds from the trace's own zero.

    `length_ms` is what the user asked for, never less than `run_ms`. `units` are the cores or the
    devices that a job holds as one piece. `user` counts the users from 0, `home` the clusters that
    they are users of.
    """

    OF_ALL: ClassVar[tuple[str, ...]] = ("capacity",)  # what is not a column by job

    submit_ms: Ints
    run_ms: Ints
    length_ms: Ints
    units: Ints
    user: Ints
    home: Ints
    capacity: int = 0

    def __len__(self) -> int:
        return len(self.submit_ms)

    @property
    def is_stated(self) -> bool:
        """Return whether users said how long their jobs would take."""
        return bool((self.length_ms > self.run_ms).any())

    def first(self, jobs: int) -> Self:
        """Return the trace of the first so many jobs, with all that is known of each."""
        names = (each.name for each in fields(self) if each.name not in self.OF_ALL)
        by_job: dict[str, Any] = {name: getattr(self, name)[:jobs] for name in names}
        return replace(self, **by_job)


def checked(where: str, **numbers: float) -> list[int]:
    """Return a job's numbers, whole; BadTrace names one that is negative, absurdly large, or none.

    A unit is the least that a job can hold.
    """
    for name, value in numbers.items():
        least = 1 if name == "units" else 0
        if not least <= value <= MOST:  # nor is what is no number at all
            raise BadTrace(f"{where}: {name} is {value:g}; it must be from {least} to {MOST}")
    return [int(value) for value in numbers.values()]


def some_in_order(
    path: Path, rows: list[tuple[int, int, int, int, int]], capacity: int = 0
) -> Trace:
    """Return a file's rows in seconds as a trace; BadTrace where none of its jobs ran."""
    if not rows:
        raise BadTrace(f"{path.name}: no job in it ran")
    times = [(a * S, b * S, c * S, units, user) for a, b, c, units, user in rows]
    return in_order(times, capacity)


def in_order(rows: list[tuple[int, int, int, int, int]], capacity: int = 0) -> Trace:
    """Return a trace of (submit, run, length, units, user) rows, sorted by submission."""
    columns = np.array(rows, np.int64).reshape(-1, 5)
    columns = columns[np.argsort(columns[:, 0], kind="stable")]
    submit, run, length, units, user = columns.T.copy()
    _, user = np.unique(user, return_inverse=True)
    user, home = user.astype(np.int64), np.zeros(len(columns), np.int64)
    return Trace(submit, run, np.maximum(run, length), units, user, home, capacity)


def merged(traces: list[Trace]) -> Trace:
    """Return the jobs of several clusters as one trace; `home` is the place in the list."""
    names = ("submit_ms", "run_ms", "length_ms", "units", "user")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(trace, name) for trace in traces]) for name in names
    }
    columns["home"] = np.repeat(np.arange(len(traces)), [len(trace) for trace in traces])
    users = np.cumsum([0, *(int(trace.user.max(initial=-1)) + 1 for trace in traces)])
    columns["user"] += users[columns["home"]]
    order = np.argsort(columns["submit_ms"], kind="stable")
    return Trace(**{name: column[order] for name, column in columns.items()})
