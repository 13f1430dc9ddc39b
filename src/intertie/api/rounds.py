"""How a door waits for the decider: one thread listens for all who wait in this process."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, Engine

from intertie.control.wake import Wake
from intertie.store import reading

_LISTEN_S = 1.0
Marks = dict[int, Any]
ReadMarks = Callable[[Connection, list[int]], Marks]


class Rounds:
    """Wakes whoever waits when a round was committed.

    A long poll costs a future, not a thread; a poke that committed nothing wakes nobody. The
    listener runs only while somebody waits. Once closed, nobody waits any more.
    """

    def __init__(self, engine: Engine, wake: Wake) -> None:
        self._engine, self._wake = engine, wake
        self._number = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._listener: asyncio.Task[None] | None = None
        self.is_closed = False

    async def after(self, number: int, timeout_s: float) -> None:
        """Return when a round after `number` was committed, or after the time-out.

        `number` is that of the snapshot in which the caller found nothing new.
        """
        if self._number > number or timeout_s <= 0 or self.is_closed:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self._listener = _running(self._listener, self._hear)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, timeout_s)
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """Let everybody go, so that a door that ends need not cut them off."""
        self.is_closed = True
        self._release()

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


class MarkedRounds:
    """Wakes those whose mark changed in a round: one look at the store for all who wait.

    Without it each round would cost one look for each of hundreds of agents.
    """

    def __init__(self, engine: Engine, rounds: Rounds, read: ReadMarks) -> None:
        self._engine, self._rounds, self._read_marks = engine, rounds, read
        self._number = 0
        self._waiting: dict[asyncio.Future[None], tuple[int, Any]] = {}
        self._follower: asyncio.Task[None] | None = None

    async def change(self, number: int, name: int, mark: Any, timeout_s: float) -> None:
        """Return when the mark of `name` is another one than at round `number`, or in time."""
        if self._number > number or timeout_s <= 0 or self._rounds.is_closed:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = (name, mark)
        self._follower = _running(self._follower, self._follow)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, timeout_s)
        finally:
            self._waiting.pop(future, None)

    async def _follow(self) -> None:
        limiter = CapacityLimiter(1)
        while self._waiting:
            names = sorted({name for name, _ in self._waiting.values()})
            self._number, marks = await to_thread.run_sync(self._look, names, limiter=limiter)
            for future, (name, mark) in self._waiting.items():
                is_other = name in marks and marks[name] != mark
                if (is_other or self._rounds.is_closed) and not future.done():
                    future.set_result(None)
            await self._rounds.after(self._number, _LISTEN_S)

    def _look(self, names: list[int]) -> tuple[int, Marks]:
        with reading.snapshot(self._engine) as connection:
            return reading.last_round(connection)[0], self._read_marks(connection, names)


def _running(task: asyncio.Task[None] | None, work: Callable[[], Any]) -> asyncio.Task[None]:
    """Return the task that does the work on this loop; a new one where it has ended."""
    loop = asyncio.get_running_loop()
    if task is None or task.done() or task.get_loop() is not loop:
        return loop.create_task(work())
    return task
