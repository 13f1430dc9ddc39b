"""Load a World from the store."""

from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, Engine, func, select

from intertie.cycle.inbox import InboxRow
from intertie.model.ledger import Posting, Transaction
from intertie.model.plain import from_plain
from intertie.model.policy import Policy
from intertie.store import tables
from intertie.store.numbering import first_number
from intertie.store.postgres import read_columns
from intertie.world.apply import COUNTED
from intertie.world.table import Ints, columns_of
from intertie.world.world import DOCUMENTS, World


def load_world(engine: Engine) -> World:
    """Return the World as the last committed round left it."""
    world = World()
    with engine.connect().execution_options(is_read=True) as connection:
        for noun, table in world.tables().items():
            table.load(_columns(connection, noun))
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


class Pruned(Exception):
    """The inbox rows of some rounds are gone; `round` is the last of them."""

    def __init__(self, last: int) -> None:
        super().__init__(f"rows of round {last} and before are pruned: begin with a World after it")
        self.round = last


def recorded_rounds(
    connection: Connection, after: int = 0
) -> list[tuple[int, str, tuple[InboxRow, ...]]]:
    """Return (instant, digest, inbox rows) of every round after a number, for a replay.

    After 0 a replay begins with an empty World, later with the World as that round left it, which a
    backup may hold. Raises Pruned where rows of these rounds are gone.
    """
    pruned = connection.execute(select(tables.network.c.pruned_round)).scalar() or 0
    if after < pruned:
        raise Pruned(pruned)
    taken: dict[int, list[InboxRow]] = {}
    table = tables.inbox
    query = select(table).where(table.c.taken_round > after).order_by(table.c.id)
    for row in connection.execute(query).mappings():
        taken.setdefault(row["taken_round"], []).append(inbox_row(row))
    number = tables.round_.c.number
    rounds = select(tables.round_).where(number > after).order_by(number)
    return [
        (row["at"], row["digest"], tuple(taken.get(row["number"], ())))
        for row in connection.execute(rounds).mappings()
    ]


def inbox_row(row: Any) -> InboxRow:
    """Return an inbox row from its columns."""
    return InboxRow(row["id"], row["kind"], row["actor"], row["at"], orjson.loads(row["body"]))


def load_policy(connection: Connection) -> Policy:
    """Return the network's policy."""
    text = connection.execute(select(tables.network.c.policy)).scalar_one()
    return from_plain(Policy, orjson.loads(text))


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


def _columns(connection: Connection, noun: str) -> Ints:
    """Return the rows of a noun that have not left the World; axes [column, row]."""
    names = columns_of(tables.NOUN[noun])
    source = f'"{tables.DECIDED[noun].name}" WHERE is_retired = 0'
    if connection.dialect.name == "postgresql":
        return read_columns(connection, names, source)
    columns = ", ".join(f'"{name}"' for name in names)
    query = f"SELECT {columns} FROM {source}"
    rows = [tuple(row) for row in connection.exec_driver_sql(query)]
    return np.array(rows, np.int64).reshape(-1, len(names)).T


def _documents(connection: Connection, world: World) -> None:
    every = world.tables()
    for noun, kinds in DOCUMENTS.items():
        table = tables.DECIDED[noun]
        live = select(table.c.id).where(table.c.is_retired == 0)
        query = select(tables.document).where(
            tables.document.c.kind.in_(list(kinds)), tables.document.c.number.in_(live)
        )
        # Many jobs ask the same: one value, read once, stands for all who said the same words.
        known: dict[tuple[str, str], Any] = {}
        for kind, number, body in connection.execute(query):
            assert number in every[noun]
            if (kind, body) not in known:
                known[kind, body] = from_plain(kinds[kind], orjson.loads(body))
            world.documents[kind, number] = known[kind, body]


def _counters(connection: Connection, world: World) -> None:
    incarnation = connection.execute(select(tables.network.c.incarnation)).scalar() or 1
    for noun in COUNTED:
        table = tables.transaction if noun == "Transaction" else tables.DECIDED[noun]
        last = connection.execute(select(func.max(table.c.id))).scalar() or 0
        first = first_number(incarnation)
        if last or first > 1:
            world.next[noun] = max(last + 1, first)
