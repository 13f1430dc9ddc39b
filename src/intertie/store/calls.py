"""Calls: who wants to speak with a session's program, until its agent has dialled.

A door writes the call of a user who waits at it; every door tells the agent of it; the agent
dials, and the call is gone. A call that nobody answers ends by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, insert, select

from intertie.store import tables
from intertie.store.patience import patiently


@dataclass(frozen=True)
class Call:
    """One call for a lease's agent, at `pool`. `until` in ms since 1970; `nonce` is good once.

    `url` is the address of the door at which the user waits; empty where agents need no other
    than the one they know.
    """

    nonce: str
    pool: int
    lease: int
    token: int
    url: str
    until: int


@patiently
def add_call(engine: Engine, call: Call, now: int) -> None:
    """Keep a call, and let go of those whose time is up."""
    table = tables.session_call
    with engine.begin() as connection:
        connection.execute(delete(table).where(table.c.until <= now))
        connection.execute(insert(table), [call.__dict__])


@patiently
def end_call(engine: Engine, nonce: str) -> None:
    """Let go of a call that was answered, or given up."""
    table = tables.session_call
    with engine.begin() as connection:
        connection.execute(delete(table).where(table.c.nonce == nonce))


def waiting_calls(connection: Connection, now: int) -> dict[int, list[Call]]:
    """Return the calls that wait for an agent, by pool."""
    table = tables.session_call
    rows = connection.execute(select(table).where(table.c.until > now).order_by(table.c.until))
    return by_pool(Call(*row) for row in rows)


def by_pool(calls: Iterable[Call]) -> dict[int, list[Call]]:
    """Return calls by their agent's pool."""
    found: dict[int, list[Call]] = {}
    for call in calls:
        found.setdefault(call.pool, []).append(call)
    return found
