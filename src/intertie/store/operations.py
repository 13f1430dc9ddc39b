"""What operators look at: the leader's board, queues, and the agents that need attention."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from intertie.model.parties import Pool
from intertie.model.states import PoolState
from intertie.store import tables
from intertie.store.writing import write_rows
from intertie.world.table import columns_of

# The board is a document of no noun: no World is loaded from it, and no decision reads it.
_BOARD = ("board", 0)


@dataclass(frozen=True)
class Queues:
    """What waits. Webhooks are counted as `active`, `failing` and `ended`."""

    inbox_waiting: int
    inbox_oldest_at: int | None
    webhooks: dict[str, int]
    webhook_events_behind: int


def keep_board(connection: Connection, said: dict[str, Any]) -> None:
    """Keep what the leader counted in the place of what it counted before."""
    kind, number = _BOARD
    texts = {"kind": [kind], "body": [json.dumps(said)]}
    write_rows(connection, tables.document, {"number": [number]}, texts, ("kind", "number"))


def read_board(connection: Connection) -> dict[str, Any]:
    """Return what the leader counted last; empty before it first did."""
    table = tables.document
    kind, number = _BOARD
    query = select(table.c.body).where(table.c.kind == kind, table.c.number == number)
    body = connection.execute(query).scalar()
    return dict(json.loads(body)) if body else {}


def read_queues(connection: Connection) -> Queues:
    """Return what waits now: for a round in the inbox, for its receiver in the event table."""
    inbox, webhook = tables.inbox, tables.webhook
    waits = inbox.c.taken_round.is_(None)
    waiting = connection.execute(select(func.count()).where(waits)).scalar_one()
    first = select(inbox.c.at).where(waits).order_by(inbox.c.id).limit(1)
    state = case(
        (webhook.c.ended_at.is_not(None), "ended"),
        (webhook.c.failures > 0, "failing"),
        else_="active",
    )
    counted = connection.execute(select(state, func.count()).group_by(state))
    live = select(func.min(webhook.c.cursor)).where(webhook.c.ended_at.is_(None))
    slowest = connection.execute(live).scalar()
    last = connection.execute(select(func.max(tables.event.c.id))).scalar() or 0
    return Queues(
        inbox_waiting=int(waiting),
        inbox_oldest_at=connection.execute(first).scalar(),
        webhooks={"active": 0, "failing": 0, "ended": 0} | {str(s): int(n) for s, n in counted},
        webhook_events_behind=0 if slowest is None else max(0, int(last) - int(slowest)),
    )


def longest_silent(connection: Connection, limit: int) -> list[Pool]:
    """Return the pools that have not left, from the one heard of longest ago."""
    table = tables.DECIDED["Pool"]
    query = select(*(table.c[name] for name in columns_of(Pool)))
    query = query.where(table.c.state != PoolState.LEFT, table.c.is_retired == 0)
    query = query.order_by(table.c.seen_at, table.c.id).limit(limit)
    return [Pool(*row) for row in connection.execute(query)]
