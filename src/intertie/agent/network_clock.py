"""The network's time as this machine knows it: leases end by it."""

import time

from intertie.engines.shim.procfs import boot_ms

DRIFT = 1_000  # clocks run apart by less than a thousandth
JUMP_MS = 60_000


class NetworkClock:
    """How far the network's clock is ahead of this machine's steady one.

    An answer is older than it seems by the time it was under way, so the largest difference heard
    is the nearest to the truth; it is let go of slowly, for clocks run apart. An error makes
    leases end early, by no more than that time.
    """

    def __init__(self) -> None:
        self._ahead_ms: int | None = None
        self._heard_at = 0

    def hear(self, now: int) -> None:
        """Take in the network's instant of an answer, in ms since the epoch; 0 says nothing."""
        if not now:
            return
        here = boot_ms()
        heard, before = now - here, self._ahead_ms
        if before is not None and abs(heard - before) < JUMP_MS:
            heard = max(heard, before - (here - self._heard_at) // DRIFT)
        self._ahead_ms, self._heard_at = heard, here

    def left_ms(self, until: int) -> int:
        """Return how long it is until an instant of the network's; by our clock at first."""
        now = time.time_ns() // 1_000_000
        if self._ahead_ms is not None:
            now = boot_ms() + self._ahead_ms
        return max(0, until - now)
