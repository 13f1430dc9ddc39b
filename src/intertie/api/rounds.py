"""How a door follows the decider: one thread looks at each round for all who wait in this process.

A look is one small transaction: the round's number, the pools that changed, and the answers that
are awaited. What it finds is handed to the event loop, where everybody waits as a future.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from intertie.control.clock import now_ms
from intertie.control.waiting import Clerk
from intertie.control.wake import Wake
from intertie.model.parties import Pool
from intertie.model.states import PoolState
from intertie.store import reading
from intertie.store.appending import Waited
from intertie.store.calls import Call, waiting_calls

LISTEN_S = 1.0
# Who is poked more often than this still looks only so often: pokes come in crowds.
GAP_S = 0.005
_HEARD = (PoolState.ONLINE, PoolState.DRAINING)
_LOG = logging.getLogger("intertie.api")


@dataclass(frozen=True)
class Seldom:
    """What is looked at once a second: how long the inbox's oldest row has waited."""

    incarnation: int
    inbox_wait_ms: int


@dataclass(frozen=True)
class Look:
    """What one look found. `pools` are those that changed; all of them when `is_whole`."""

    number: int
    pools: list[Pool]
    is_whole: bool
    answers: dict[int, Waited]
    calls: dict[int, list[Call]]
    seldom: Seldom


@dataclass(frozen=True)
class _Poll:
    future: asyncio.Future[None]
    after: int
    is_news: Callable[[Pool], bool]


class Rounds:
    """What the last round left, and who waits for the next. Once closed, nobody waits any more.

    `pools` holds every pool as of round `number`, `heard` counts those whose agents are heard.
    `calls` holds by pool the calls that wait for an agent.
    `incarnation` and `inbox_wait_ms` are at most a second older.
    """

    def __init__(self, engine: Engine, wake: Wake, clerk: Clerk) -> None:
        self._engine, self._wake, self._clerk = engine, wake, clerk
        self.number = 0
        self.pools: dict[int, Pool] = {}
        self.calls: dict[int, list[Call]] = {}
        self._called: set[str] = set()
        self.heard = 0
        self.incarnation = 0
        self.inbox_wait_ms = 0
        self.is_closed = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._polls: dict[int, set[_Poll]] = {}
        self._listener: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._first: asyncio.Event | None = None

    async def ready(self) -> None:
        """Return once the first look is there; begin to listen when nobody has done so."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._first = loop, asyncio.Event()
            self._listener = threading.Thread(
                target=self._listen, args=(loop,), name="rounds", daemon=True
            )
            self._listener.start()
        assert self._first is not None
        if not self._first.is_set():
            await self._first.wait()

    async def after(self, number: int, timeout_s: float) -> None:
        """Return when a round after `number` was committed, or after the time-out.

        `number` is that of the snapshot in which the caller found nothing new.
        """
        await self.ready()
        if self.number > number or timeout_s <= 0 or self.is_closed:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, timeout_s)
        finally:
            self._waiting.discard(future)

    async def news(
        self, pool: int, after: int, is_news: Callable[[Pool], bool], timeout_s: float
    ) -> None:
        """Return when a round after `after` left a pool so that it is news, or in time.

        A call for the pool is news.
        """
        row = self.pools.get(pool)
        is_there = self.number > after and row is not None and is_news(row)
        is_there = is_there or self.is_called(pool)
        if is_there or timeout_s <= 0 or self.is_closed:
            return
        poll = _Poll(asyncio.get_running_loop().create_future(), after, is_news)
        waiting = self._polls.setdefault(pool, set())
        waiting.add(poll)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(poll.future, timeout_s)
        finally:
            waiting.discard(poll)
            if not waiting and self._polls.get(pool) is waiting:
                del self._polls[pool]

    def is_called(self, pool: int) -> bool:
        """Return whether a call waits of which this door has not told the agent."""
        return any(call.nonce not in self._called for call in self.calls.get(pool, ()))

    def note_called(self, nonces: Iterable[str]) -> None:
        """Note the calls that an answer tells; they stand in others, and hurry none."""
        self._called.update(nonces)

    def close(self) -> None:
        """Let everybody go, so that a door that ends need not cut them off."""
        self.is_closed = True
        self._wake_all()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look after each poke until closed, or until the loop that is told has ended."""
        number, looked_s, seldom = -1, 0.0, Seldom(0, 0)
        while not self.is_closed and self._loop is loop:
            seen = self._wake.seen()
            try:
                if not looked_s or time.monotonic() - looked_s >= LISTEN_S:
                    looked_s, seldom = time.monotonic(), self._seldom()
                look = self._look(number, seldom)
            except SQLAlchemyError as error:
                _LOG.warning("the store is away: %s", error)
                time.sleep(LISTEN_S)
                continue
            number = look.number
            try:
                loop.call_soon_threadsafe(self._hear, look)
            except RuntimeError:
                return
            time.sleep(GAP_S)
            self._wake.wait(seen, LISTEN_S)

    def _look(self, known: int, seldom: Seldom) -> Look:
        with reading.snapshot(self._engine) as connection:
            number = reading.last_round(connection)[0]
            # A restore from backup goes back: then all that is known is out of date.
            is_whole = known < 0 or number < known
            pools: list[Pool] = []
            if number != known:
                changed = reading.column(Pool, "changed_round") > (-1 if is_whole else known)
                pools = reading.rows(connection, Pool, changed)
            calls = waiting_calls(connection, now_ms())
        return Look(number, pools, is_whole, self._clerk.look(), calls, seldom)

    def _seldom(self) -> Seldom:
        with reading.snapshot(self._engine) as connection:
            incarnation = reading.network_facts(connection).incarnation
            waiting_at = reading.oldest_waiting_at(connection)
        return Seldom(incarnation, 0 if waiting_at is None else max(0, now_ms() - waiting_at))

    def _hear(self, look: Look) -> None:
        """Take in a look, on the loop: the pools first, so that who is answered finds them."""
        assert self._first is not None
        has_moved = look.number != self.number
        self.number, self.incarnation = look.number, look.seldom.incarnation
        self.inbox_wait_ms, self.calls = look.seldom.inbox_wait_ms, look.calls
        if look.is_whole:
            self.pools.clear()
        self.pools.update((row.id, row) for row in look.pools)
        if look.pools:
            self.heard = sum(row.state in _HEARD for row in self.pools.values())
        self._first.set()
        self._clerk.tell(look.answers)
        for row in look.pools:
            for poll in self._polls.get(row.id, ()):
                if look.number > poll.after and poll.is_news(row):
                    _release(poll.future)
        self._called &= {call.nonce for calls in look.calls.values() for call in calls}
        for pool in filter(self.is_called, look.calls):
            for poll in self._polls.get(pool, ()):
                _release(poll.future)
        if has_moved:
            for future in self._waiting:
                _release(future)

    def _wake_all(self) -> None:
        for future in self._waiting:
            _release(future)
        for polls in self._polls.values():
            for poll in polls:
                _release(poll.future)


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
