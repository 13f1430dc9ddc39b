"""Commit one round: all of its Changes in one database transaction, or none."""

import json
from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from intertie.cycle.inbox import InboxRow
from intertie.model.plain import to_plain
from intertie.model.refusal import Refusal
from intertie.store import tables
from intertie.world.changes import Changes
from intertie.world.table import columns_of


def commit_round(
    connection: Connection,
    number: int,
    at: int,
    inbox: list[InboxRow],
    changes: Changes,
    balances: dict[int, int],
    took_us: int,
) -> None:
    """Write one round. `balances` holds what each touched account has after it."""
    by_noun: dict[str, list[Any]] = defaultdict(list)
    for (noun, _), row in changes.rows.items():
        by_noun[noun].append(row)
    for noun, rows in by_noun.items():
        names = columns_of(type(rows[0]))
        _upsert(
            connection,
            tables.DECIDED[noun],
            [{n: getattr(r, n) for n in names} for r in rows],
            ("id",),
        )
    for noun, each in changes.retired:
        table = tables.DECIDED[noun]
        connection.execute(update(table).where(table.c.id == each).values(is_retired=1))
    documents = [
        {"kind": kind, "number": n, "body": _text(body)}
        for (kind, n), body in changes.documents.items()
    ]
    _upsert(connection, tables.document, documents, ("kind", "number"))
    _money(connection, changes, balances)
    _events(connection, changes, at)
    _answers(connection, number, inbox, changes)
    row = {"number": number, "at": at, "digest": changes.digest(), "took_us": took_us}
    connection.execute(insert(tables.round_), [row])


def lay_aside(engine: Engine, row: int, refusal: Refusal) -> None:
    """Mark an inbox row that no round can take; no round has number 0, so no replay meets it."""
    statement = update(tables.inbox).where(tables.inbox.c.id == row)
    said = _text({"refusal": refusal, "values": {}, "document": None})
    with engine.begin() as connection:
        connection.execute(statement.values(taken_round=0, answer=said))


def _money(connection: Connection, changes: Changes, balances: dict[int, int]) -> None:
    touched = {
        a for t in changes.transactions for p in t.postings for a in (p.source, p.destination)
    }
    rows = [{"account": a, "amount_micro": balances[a]} for a in sorted(touched)]
    _upsert(connection, tables.balance, rows, ("account",))
    if changes.transactions:
        plain = [to_plain(t) for t in changes.transactions]
        postings = [
            {"transaction": t["id"], "index": at, **entry}
            for t in plain
            for at, entry in enumerate(t.pop("postings"))
        ]
        connection.execute(insert(tables.transaction), plain)
        connection.execute(insert(tables.posting), postings)
    if changes.usage:
        connection.execute(insert(tables.DECIDED["UsageRecord"]), to_plain(changes.usage))


def _events(connection: Connection, changes: Changes, at: int) -> None:
    if changes.events:
        connection.execute(
            insert(tables.event),
            [
                {"job": e.job, "at": at, "code": e.code, "body": _text(e.values)}
                for e in changes.events
            ],
        )


def _answers(connection: Connection, number: int, inbox: list[InboxRow], changes: Changes) -> None:
    if not inbox:
        return
    answers = {answer.inbox: answer for answer in changes.answers}
    statement = (
        update(tables.inbox)
        .where(tables.inbox.c.id == bindparam("row"))
        .values(taken_round=bindparam("by"), answer=bindparam("said"))
    )
    rows = [
        {"row": r.id, "by": number, "said": _text(answers[r.id]) if r.id in answers else None}
        for r in inbox
    ]
    connection.execute(statement, rows)


def _upsert(
    connection: Connection, table: Any, rows: list[dict[str, Any]], key: tuple[str, ...]
) -> None:
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
    connection.execute(statement, rows)


def _text(value: Any) -> str:
    return json.dumps(to_plain(value), separators=(",", ":"), ensure_ascii=False)
