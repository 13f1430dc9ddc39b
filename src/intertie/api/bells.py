"""A bell inside one process: whoever writes rings it, whoever follows hears it."""

import asyncio
from contextlib import suppress


class Bell:
    """Rung by name, such as the number of a lease. It carries nothing and may be missed."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}

    def ring(self, name: int) -> None:
        """Wake everybody who waits for this name. Call it on the event loop."""
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)

    async def wait(self, name: int, timeout_s: float) -> None:
        """Return when it is rung for this name, or after the time-out."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, set()).add(future)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, timeout_s)
        finally:
            left = self._waiting.get(name, set())
            left.discard(future)
            if not left:
                self._waiting.pop(name, None)
