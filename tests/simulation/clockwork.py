"""Time and turns of one simulated run: a queue of instants, and fibers that sleep on it.

Everything runs in one thread and nothing sleeps. A fiber is code that waits in the middle (real
code that would block a thread); only one runs at a time, and the queue says which is next, so the
same seed takes the same turns.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

Act = Callable[[], object]


class Clockwork:
    """True time in whole milliseconds. `events` counts the turns that were taken."""

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        self.hub = getcurrent()
        self.fibers: list[Fiber] = []
        self._queue: list[tuple[int, int, Act]] = []
        self._count = 0

    def after(self, ms: int, act: Act) -> None:
        """Do something in so many milliseconds; what is due at one instant goes in order."""
        self._count += 1
        heappush(self._queue, (self.now + max(0, ms), self._count, act))

    def spawn(self, name: str, work: Act) -> "Fiber":
        """Begin a fiber; its first turn is at this instant."""
        fiber = Fiber(self, name, work)
        self.fibers.append(fiber)
        self.after(0, lambda: fiber.turn(0, False))
        return fiber

    def run_until(self, when: int) -> None:
        """Take every turn that is due up to an instant; what a fiber raises comes out here."""
        assert getcurrent() is self.hub, "only the hub turns the clock"
        while self._queue and self._queue[0][0] <= when:
            self.now, _, act = heappop(self._queue)
            self.events += 1
            act()
        self.now = max(self.now, when)
        self.fibers = [fiber for fiber in self.fibers if not fiber.is_over]

    def sleep(self, ms: int) -> None:
        """Let the running fiber wait."""
        self.park(ms)

    def park(self, ms: int | None) -> bool:
        """Let the running fiber wait until it is woken (True) or its time is up (False)."""
        fiber = self.running()
        assert fiber is not None, "only a fiber can wait"
        turn = fiber.turns
        if ms is not None:
            self.after(ms, lambda: fiber.turn(turn, False))
        return bool(self.hub.switch())

    def running(self) -> "Fiber | None":
        """Return the fiber whose turn it is; None in the hub."""
        found = getcurrent()
        return found.fiber if isinstance(found, _Thread) else None

    def close(self) -> None:
        """End every fiber."""
        for fiber in self.fibers:
            fiber.end()


class _Thread(greenlet):
    fiber: "Fiber"


class Fiber:
    """One thread of real code, on simulated time."""

    def __init__(self, clock: Clockwork, name: str, work: Act) -> None:
        self.clock, self.name = clock, name
        self.turns = 0
        self.is_killed = False
        self._thread = _Thread(work, clock.hub)
        self._thread.fiber = self

    @property
    def is_over(self) -> bool:
        return bool(self._thread.dead)

    def turn(self, turn: int, is_woken: bool) -> None:
        """Go on, unless it has gone on since, or is dead. For the hub."""
        if turn != self.turns or self.is_killed or self.is_over:
            return
        self.turns += 1
        # The first switch starts the work, which takes nothing; later ones end its wait.
        self._thread.switch(*([is_woken] if self._thread else []))

    def wake(self) -> None:
        """End its wait, at this instant but not within this turn."""
        turn = self.turns
        self.clock.after(0, lambda: self.turn(turn, True))

    def kill(self) -> None:
        """Let it never take another turn, and unwind it once this turn is over."""
        if not self.is_killed:
            self.is_killed = True
            self.clock.after(0, self.end)

    def end(self) -> None:
        """Unwind it. For the hub."""
        self.is_killed = True
        if not self.is_over:
            self._thread.throw(GreenletExit)


class Flag:
    """What `threading.Event` is to threads, for fibers."""

    def __init__(self, clock: Clockwork) -> None:
        self._clock = clock
        self._is_set = False
        self._waiting: list[Fiber] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self.wake()

    def clear(self) -> None:
        self._is_set = False

    def wake(self) -> None:
        """Wake who waits without setting the flag."""
        waiting, self._waiting = self._waiting, []
        for fiber in waiting:
            fiber.wake()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the flag, so many seconds at most; return whether it is set."""
        if not self._is_set:
            fiber: Any = self._clock.running()
            self._waiting.append(fiber)
            self._clock.park(None if timeout is None else round(timeout * 1000))
            if fiber in self._waiting:
                self._waiting.remove(fiber)
        return self._is_set
