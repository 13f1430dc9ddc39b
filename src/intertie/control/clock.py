"""The only clock of the control plane."""

import threading
import time
from collections.abc import Callable

# Counts on while the machine sleeps, which CLOCK_MONOTONIC does not do on Linux.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# A wall clock that was set is followed by a hundredth of the time that passes: leases and their
# margins hardly notice, and an error of a minute is gone in two hours.
_FOLLOWS = 100


def _steady_ns() -> int:
    return time.clock_gettime_ns(_STEADY)


class WallClock:
    """The wall clock without its jumps.

    It begins with the wall clock and goes with the machine's steady one. Whoever sets the wall
    clock forward by an hour would else have every lease end at once, and every agent be lost.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = _steady_ns,
    ) -> None:
        self._wall, self._steady = wall_ns, steady_ns
        self._now_ns, self._steady_ns = wall_ns(), steady_ns()
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Return this instant in milliseconds since the Unix epoch."""
        with self._lock:
            steady_ns = self._steady()
            passed_ns = steady_ns - self._steady_ns
            behind_ns = self._wall() - self._now_ns - passed_ns
            most_ns = passed_ns // _FOLLOWS
            self._now_ns += passed_ns + max(-most_ns, min(most_ns, behind_ns))
            self._steady_ns = steady_ns
            return self._now_ns // 1_000_000


now_ms = WallClock().now_ms


class SteadyClock:
    """A clock that never goes back, not even behind what an earlier leader committed."""

    def __init__(self, not_before: int = 0) -> None:
        self._last = not_before

    def now(self) -> int:
        """Return this instant, or the last one again where the machine's clock went back."""
        self._last = max(self._last, now_ms())
        return self._last
