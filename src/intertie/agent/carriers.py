"""A few threads that carry all attempts: each attempt is a run of steps with pauses in between.

A thread for each of a thousand leases would mostly wait. A step may block, as an upload does;
then the other threads go on with the others.
"""

import heapq
import threading
import time
from collections.abc import Hashable, Iterable, Iterator
from itertools import count

Steps = Iterator[float]
THREADS_MAX = 16


class Carriers:
    """Runs each attempt's steps; what a step yields is how long to pause, in seconds.

    Steps that raise are our mistake: they end their thread, which tells, and another takes over.
    """

    def __init__(self, threads_max: int = THREADS_MAX) -> None:
        self._threads_max = threads_max
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Hashable, Steps]] = []
        self._numbers = count()
        self._threads = 0
        self._busy = 0
        self._hurried: set[Hashable] = set()

    def __len__(self) -> int:
        """Return how many attempts are carried."""
        return len(self._due) + self._busy

    def carry(self, name: Hashable, steps: Steps) -> None:
        """Take the first step now, and the others as they come due."""
        with self._changed:
            self._push(0.0, name, steps)
            if self._threads < min(self._threads_max, len(self)):
                self._threads += 1
                self._begin()
            self._changed.notify()

    def hurry(self, names: Iterable[Hashable]) -> None:
        """End the pauses of these attempts: something happened to them."""
        chosen = set(names)
        with self._changed:
            self._hurried |= chosen
            self._due = [(0.0 if d[2] in chosen else d[0], *d[1:]) for d in self._due]
            heapq.heapify(self._due)
            self._changed.notify_all()

    def _begin(self) -> None:
        threading.Thread(target=self._work, name="carrier", daemon=True).start()

    def _work(self) -> None:
        while True:
            name, steps = self._next()
            try:
                pause_s = next(steps, None)
            except BaseException:
                with self._changed:
                    self._busy -= 1
                self._begin()
                raise
            with self._changed:
                self._busy -= 1
                if pause_s is not None:
                    is_hurried = name in self._hurried
                    self._push(0.0 if is_hurried else time.monotonic() + pause_s, name, steps)
                    self._changed.notify()

    def _next(self) -> tuple[Hashable, Steps]:
        """Wait for the step that is due first."""
        with self._changed:
            while True:
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    break
                self._changed.wait(wait_s)
            _, _, name, steps = heapq.heappop(self._due)
            self._hurried.discard(name)
            self._busy += 1
            return name, steps

    def _push(self, due_s: float, name: Hashable, steps: Steps) -> None:
        heapq.heappush(self._due, (due_s, next(self._numbers), name, steps))
