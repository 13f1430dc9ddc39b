"""How a door waits for the decider: one thread listens for all who wait in this process."""

import asyncio
from contextlib import suppress

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine

from intertie.control.wake import Wake
from intertie.store import reading

_LISTEN_S = 1.0


class Rounds:
    """Wakes whoever waits when a round was committed.

    A long poll costs a future, not a thread; a poke that committed nothing wakes nobody. The
    listener runs only while somebody waits.
    """

    def __init__(self, engine: Engine, wake: Wake) -> None:
        self._engine, self._wake = engine, wake
        self._number = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._listener: asyncio.Task[None] | None = None

    async def after(self, number: int, timeout_s: float) -> None:
        """Return when a round after `number` was committed, or after the time-out.

        `number` is that of the snapshot in which the caller found nothing new.
        """
        if self._number > number or timeout_s <= 0:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self._listen()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, timeout_s)
        finally:
            self._waiting.discard(future)

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        task = self._listener
        if task is None or task.done() or task.get_loop() is not loop:
            self._listener = loop.create_task(self._hear())

    async def _hear(self) -> None:
        limiter = CapacityLimiter(1)
        while self._waiting:
            seen = self._wake.seen()
            number = await to_thread.run_sync(self._last, limiter=limiter)
            if number != self._number:
                self._number = number
                self._release()
                continue
            await to_thread.run_sync(self._wake.wait, seen, _LISTEN_S, limiter=limiter)

    def _last(self) -> int:
        with reading.snapshot(self._engine) as connection:
            return reading.last_round(connection)[0]

    def _release(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
