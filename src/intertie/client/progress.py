"""How far the calls of an executor are: as counts, and as a bar where somebody can see one."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from threading import Lock
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Counts of calls: of all that were submitted, how many run, and how the others ended."""

    submitted: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.cancelled


OnProgress = Callable[[Progress], None]


class Tally:
    """Counts calls and reports each change, one at a time and in order."""

    def __init__(self, report: OnProgress) -> None:
        self.now = Progress()
        self._report = report
        self._lock = Lock()

    def count(self, **changes: int) -> None:
        """Add to the counts of these names, and report."""
        with self._lock:
            added = {name: getattr(self.now, name) + by for name, by in changes.items()}
            self.now = replace(self.now, **added)
            self._report(self.now)


class Bar:
    """A bar on stderr, begun with the first call; nothing where it could not be seen."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Any = None
        self._row: Any = None

    def __call__(self, now: Progress) -> None:
        if self._bar is None:
            self._begin()
        self._bar.update(self._row, completed=now.ended, total=now.submitted)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = RichProgress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
        self._row = self._bar.add_task(self._name, total=None)
        self._bar.start()


def reporter(wanted: bool | OnProgress, name: str) -> OnProgress:
    """Return what is told of progress: a bar for True, where there is a terminal and rich."""
    if callable(wanted):
        return wanted
    if wanted and sys.stderr.isatty() and find_spec("rich") is not None:
        return Bar(name)
    return lambda now: None
