"""The only clock of the control plane."""

import time


def now_ms() -> int:
    """Return this instant in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class SteadyClock:
    """A clock that never goes back, not even behind what an earlier leader committed."""

    def __init__(self, not_before: int = 0) -> None:
        self._last = not_before

    def now(self) -> int:
        """Return this instant, or the last one again where the machine's clock went back."""
        self._last = max(self._last, now_ms())
        return self._last
