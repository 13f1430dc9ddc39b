"""The doors, called as functions: real code of `api` and `store` answers, without HTTP.

This is the one place that knows how a door takes a request and how it answers an agent.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from sqlalchemy.exc import DBAPIError

from intertie.api import exchange
from intertie.api.agents import WAIT_MS_MAX
from intertie.api.problems import Wrong, refused_status
from intertie.control.waiting import Refused as NotGranted
from intertie.control.waiting import answer_of
from intertie.model.parties import Pool
from intertie.model.plain import from_plain
from intertie.model.refusal import Refusal
from intertie.store import reading
from intertie.store.appending import Waited, append, waited
from intertie.store.loading import load_policy
from intertie.wire.base import PROTOCOL_MAX, PROTOCOL_MIN, plain
from intertie.wire.sync import OpenSession, SessionOpened, Sync, SyncAnswer
from tests.simulation.clockwork import Clockwork, Fiber
from tests.simulation.faulty_store import FaultyStore

ROUND_TIMEOUT_MS = 10_000


class Away(Exception):
    """The door did not answer, or could not. Whether the request is kept, nobody knows."""


class Lost(Exception):
    """The row was acknowledged, and a restore from backup has forgotten it."""


class Doors:
    """The doors of the network, as one. `poke` wakes the decider; `now_ms` is their wall clock."""

    def __init__(
        self, clock: Clockwork, url: str, now_ms: Callable[[], int], poke: Callable[[], None]
    ) -> None:
        self.clock, self.now_ms, self.poke = clock, now_ms, poke
        self.store = FaultyStore(url)
        with reading.snapshot(self.store.engine) as connection:
            self.policy = load_policy(connection)
            network = reading.network_facts(connection)
        # What of `api.rounds.Rounds` an answer is made from: the last look at the store.
        self.shown = SimpleNamespace(
            number=0, pools={}, incarnation=network.incarnation, heard=0, is_closed=False, calls={}
        )
        self._door: Any = SimpleNamespace(
            engine=self.store.engine,
            policy=self.policy,
            network=network,
            rounds=self.shown,
            requests={},
        )
        self._rows: list[Fiber] = []
        self._polls: list[Fiber] = []

    def close(self) -> None:
        self.store.close()

    def append(self, kind: str, actor: int, body: dict[str, Any], key: str | None = None) -> int:
        """Append a row; when this returns, it is acknowledged."""
        try:
            number = append(self.store.engine, kind, actor, self.now_ms(), body, key)
        except DBAPIError as error:
            raise Away from error
        self.poke()
        return number

    def answer(self, number: int) -> Waited:
        """Return what a round said to a row; it waits for the round as long as a door does."""
        ends = self.clock.now + ROUND_TIMEOUT_MS
        while not (found := self._waited(number)).is_taken:
            if self.clock.now >= ends:
                raise Away
            self._wait_in(self._rows, ends)
        return found

    def open_session(self, pool: int, message: OpenSession, key: str) -> SessionOpened:
        """Answer as `POST agents/{id}/sessions`."""
        said = plain(message.pool)
        answer = answer_of(self.answer(self.append("session", pool, {"pool": said}, key)))
        return SessionOpened(
            agent=f"agent-{pool}",
            epoch=answer["values"]["epoch"],
            incarnation=self.shown.incarnation,
            protocol=min(message.protocol_max, PROTOCOL_MAX),
            renew_for_s=self.policy.renew_for_s,
        )

    def sync(self, pool: int, message: Sync) -> SyncAnswer:
        """Answer as `POST agents/{id}/sync`: a long poll."""
        ends = self.clock.now + min(message.wait_ms, WAIT_MS_MAX)
        exchange.check_message(message)
        try:
            row = self.shown.pools.get(pool)
            if row is None or row.epoch != message.epoch:
                row = self._pool(pool)
            exchange.check_session(row, message)
            number = self.append("sync", pool, exchange.row_of(message))
            if message.protocol == PROTOCOL_MIN:
                answer_of(self.answer(number))
                return self._whole_answer(pool, message, ends)
            return self._delta_answer(pool, message, ends)
        except DBAPIError as error:
            raise Away from error

    def _delta_answer(self, pool: int, said: Sync, ends: int) -> SyncAnswer:
        """What `api.agents._answer` does."""
        while True:
            is_last = self.clock.now >= ends
            row = self.shown.pools.get(pool)
            needs = exchange.needs_store(said, self.shown.incarnation)
            if row is None or needs or exchange.is_news(row, said):
                told = exchange.read_answer(self._door, pool, said)
                exchange.check_session(told.pool, said)
                if is_last or exchange.brings_news(told, said):
                    return told.answer
            elif is_last:
                return exchange.nothing_new(self._door, row, said)
            self._wait_in(self._polls, ends)

    def _whole_answer(self, pool: int, said: Sync, ends: int) -> SyncAnswer:
        """What `api.agents._whole_answer` does."""
        while True:
            told = exchange.read_answer(self._door, pool, said)
            exchange.check_session(told.pool, said)
            if exchange.brings_news(told, said) or self.clock.now >= ends:
                return told.answer
            row = told.pool
            while self.clock.now < ends and not exchange.has_moved(told, row):
                self._wait_in(self._polls, ends)
                row = self.shown.pools.get(pool, row)

    def after_round(self) -> None:
        """Look at the store once for all who wait, and wake them."""
        known = self.shown.number
        try:
            with reading.snapshot(self.store.engine) as connection:
                number = reading.last_round(connection)[0]
                changed = reading.column(Pool, "changed_round") > known
                pools = reading.rows(connection, Pool, changed)
                self.shown.incarnation = reading.network_facts(connection).incarnation
        except DBAPIError:
            return  # a look that failed costs one time-out
        self.shown.number = number
        self.shown.pools.update((row.id, row) for row in pools)
        self.shown.heard = len(self.shown.pools)
        for fiber in (*self._rows, *self._polls):
            fiber.wake()

    def _wait_in(self, waiting: list[Fiber], ends: int) -> None:
        fiber = self.clock.running()
        assert fiber is not None, "only a fiber can wait"
        waiting.append(fiber)
        self.clock.park(max(0, ends - self.clock.now))
        waiting.remove(fiber)

    def _pool(self, pool: int) -> Pool:
        with reading.snapshot(self.store.engine) as connection:
            row = reading.find(connection, Pool, pool)
        if row is None:
            raise Lost
        return row

    def _waited(self, number: int) -> Waited:
        try:
            return waited(self.store.engine, number)
        except KeyError as error:
            raise Lost from error
        except DBAPIError as error:
            raise Away from error


def refusal_of(found: Waited) -> Refusal | None:
    """Return the refusal that a round answered with, or None."""
    told = (found.answer or {}).get("refusal")
    return from_plain(Refusal, told) if told else None


def status_of(error: Exception) -> tuple[int, str]:
    """Return the status and code under which a door's refusal travels to an agent."""
    if isinstance(error, NotGranted):
        return refused_status(error.refusal)
    assert isinstance(error, Wrong)
    return error.status_code, error.code
