"""Who decides: one row with a term, held for a moment at a time by the database's own clock.

A lock alone would not do: a process that is paused keeps it. Here a paused leader's time runs out,
another takes the next term, and what the first then tries to commit is refused by its term.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from intertie.store.tables import leadership

HOLD_MS = 3_000
RENEW_S = 0.5
# A leader that is paused in the middle of a commit does not keep the row locked for longer.
_LOCKED_MS_MAX = 2_000
log = logging.getLogger("intertie.leadership")


@dataclass(frozen=True)
class Led:
    """Who leads, or led last. `left_ms` is how long the term holds unless it is renewed."""

    term: int
    holder: str
    left_ms: int


class Deposed(Exception):
    """Another process leads. What was decided under the old term is dropped."""


def take(engine: Engine, holder: str, is_sure: bool = False) -> int | None:
    """Take the leadership and return its term; None while another holds it.

    `holder` names this process alone. `is_sure` takes it at once: a lock says that nobody leads.
    """
    with engine.begin() as connection:
        now = _now_ms(connection)
        until = leadership.c.until_at
        # Further ahead than anybody sets it: the database's clock was put back.
        is_free = or_(until <= now, until > now + HOLD_MS, leadership.c.holder == holder)
        taken = update(leadership).values(
            term=leadership.c.term + 1, holder=holder, until_at=now + HOLD_MS
        )
        if not is_sure:
            taken = taken.where(is_free)
        term = connection.execute(taken.returning(leadership.c.term)).scalar()
    return None if term is None else int(term)


def led(connection: Connection) -> Led:
    """Return who leads, as the database sees it now."""
    left = leadership.c.until_at - _now_ms(connection)
    query = select(leadership.c.term, leadership.c.holder, left)
    term, holder, left_ms = connection.execute(query).one()
    return Led(int(term), str(holder), max(0, int(left_ms)))


def renew(engine: Engine, term: int) -> None:
    """Hold the leadership for another moment; raise Deposed when the term is over."""
    with engine.begin() as connection:
        _hold(connection, term)


def check(connection: Connection, term: int) -> None:
    """Renew as part of this transaction, which nobody else can do until it ends.

    Raises Deposed when the term is over.
    """
    if connection.dialect.name == "postgresql":
        setting = "idle_in_transaction_session_timeout"
        connection.execute(select(func.set_config(setting, str(_LOCKED_MS_MAX), True)))
    _hold(connection, term)


def release(engine: Engine, term: int) -> None:
    """Let another take the leadership at once."""
    with engine.begin() as connection:
        statement = update(leadership).where(leadership.c.term == term)
        connection.execute(statement.values(until_at=0))


class Renewing:
    """A thread that renews a term while long rounds are decided: `with Renewing(engine, term):`.

    It stops when the term is over, and when it was not told for STUCK_S that the leader is there: a
    leader that is stuck makes way.
    """

    STUCK_S = 60.0

    def __init__(self, engine: Engine, term: int) -> None:
        self._engine, self._term = engine, term
        self._ends = threading.Event()
        self._is_there = threading.Event()
        self._is_deposed = False
        self._thread = threading.Thread(target=self._renew, name="renewing", daemon=True)

    def __enter__(self) -> "Renewing":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ends.set()
        self._thread.join()

    def still_there(self) -> None:
        """Say that the leader is not stuck; raise Deposed when its term is over."""
        self._is_there.set()
        if self._is_deposed:
            raise Deposed

    def _renew(self) -> None:
        still_s = 0.0
        while not self._ends.wait(RENEW_S) and still_s < self.STUCK_S:
            still_s = 0.0 if self._is_there.is_set() else still_s + RENEW_S
            self._is_there.clear()
            try:
                renew(self._engine, self._term)
            except Deposed:
                self._is_deposed = True
                return
            except DBAPIError as error:
                log.warning("the leadership could not be renewed: %s", error.orig)


def _hold(connection: Connection, term: int) -> None:
    statement = update(leadership).where(leadership.c.term == term)
    held = statement.values(until_at=_now_ms(connection) + HOLD_MS)
    if connection.execute(held).rowcount != 1:
        raise Deposed


def _now_ms(connection: Connection) -> ColumnElement[int]:
    """Return the database's clock in ms since 1970, at the moment when the row is written."""
    if connection.dialect.name == "postgresql":
        return literal_column("(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return literal_column("CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)")
