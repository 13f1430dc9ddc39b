"""Load a World from the store."""

import json
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from intertie.cycle.inbox import InboxRow
from intertie.model.ledger import Posting, Transaction
from intertie.model.plain import from_plain
from intertie.model.policy import Policy
from intertie.store import tables
from intertie.world.apply import COUNTED
from intertie.world.table import columns_of
from intertie.world.world import DOCUMENTS, World


def load_world(engine: Engine) -> World:
    """Return the World as the last committed round left it."""
    world = World()
    with engine.connect().execution_options(is_read=True) as connection:
        for noun, table in world.tables().items():
            for row in _decided(connection, noun):
                table.put(row)
        _documents(connection, world)
        for account, amount in connection.execute(select(tables.balance)):
            world.balances[account] = amount
        _counters(connection, world)
    return world


def waiting_inbox(connection: Connection, limit: int) -> list[InboxRow]:
    """Return the oldest inbox rows that no round has taken."""
    query = (
        select(tables.inbox)
        .where(tables.inbox.c.taken_round.is_(None))
        .order_by(tables.inbox.c.id)
        .limit(limit)
    )
    return [inbox_row(row) for row in connection.execute(query).mappings()]


def recorded_rounds(connection: Connection) -> list[tuple[int, str, tuple[InboxRow, ...]]]:
    """Return (instant, digest, inbox rows) of every round since the first, for a replay."""
    taken: dict[int, list[InboxRow]] = {}
    table = tables.inbox
    query = select(table).where(table.c.taken_round.is_not(None)).order_by(table.c.id)
    for row in connection.execute(query).mappings():
        taken.setdefault(row["taken_round"], []).append(inbox_row(row))
    rounds = select(tables.round_).order_by(tables.round_.c.number)
    return [
        (row["at"], row["digest"], tuple(taken.get(row["number"], ())))
        for row in connection.execute(rounds).mappings()
    ]


def inbox_row(row: Any) -> InboxRow:
    """Return an inbox row from its columns."""
    return InboxRow(row["id"], row["kind"], row["actor"], row["at"], json.loads(row["body"]))


def load_policy(connection: Connection) -> Policy:
    """Return the network's policy."""
    text = connection.execute(select(tables.network.c.policy)).scalar_one()
    return from_plain(Policy, json.loads(text))


def transactions(connection: Connection) -> list[Transaction]:
    """Return every transaction with its postings, in order."""
    postings: dict[int, list[Posting]] = {}
    query = select(tables.posting).order_by(tables.posting.c.transaction, tables.posting.c.index)
    for row in connection.execute(query).mappings():
        entry = Posting(row["source"], row["destination"], row["amount_micro"])
        postings.setdefault(row["transaction"], []).append(entry)
    rows = connection.execute(select(tables.transaction).order_by(tables.transaction.c.id))
    return [
        Transaction(postings=tuple(postings.get(row["id"], ())), **row) for row in rows.mappings()
    ]


def decided_rows(connection: Connection, noun: type[Any], **equal: int) -> list[Any]:
    """Return rows of one noun, retired ones too, whose columns hold these values."""
    table = tables.DECIDED[noun.__name__]
    query = select(*(table.c[name] for name in columns_of(noun))).order_by(table.c.id)
    for name, value in equal.items():
        query = query.where(table.c[name] == value)
    return [noun(*row) for row in connection.execute(query)]


def _decided(connection: Connection, noun: str) -> list[Any]:
    kind = World().tables()[noun].noun
    table = tables.DECIDED[noun]
    query = select(*(table.c[name] for name in columns_of(kind))).where(table.c.is_retired == 0)
    return [kind(*row) for row in connection.execute(query)]


def _documents(connection: Connection, world: World) -> None:
    every = world.tables()
    for noun, kinds in DOCUMENTS.items():
        table = tables.DECIDED[noun]
        live = select(table.c.id).where(table.c.is_retired == 0)
        query = select(tables.document).where(
            tables.document.c.kind.in_(list(kinds)), tables.document.c.number.in_(live)
        )
        for kind, number, body in connection.execute(query):
            assert number in every[noun]
            world.documents[kind, number] = from_plain(kinds[kind], json.loads(body))


def _counters(connection: Connection, world: World) -> None:
    for noun in COUNTED:
        table = tables.transaction if noun == "Transaction" else tables.DECIDED[noun]
        last = connection.execute(select(func.max(table.c.id))).scalar()
        if last is not None:
            world.next[noun] = last + 1
