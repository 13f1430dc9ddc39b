"""What doors read: rows, documents and sums as the last committed round left them.

Retired rows are read too: they have left the World, not the network. Every function takes the
connection of one `snapshot`, so that what is read together belongs together.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select

from intertie.model.parties import Pool
from intertie.model.plain import from_plain
from intertie.store import tables
from intertie.store.patience import patiently
from intertie.world.table import columns_of
from intertie.world.world import DOCUMENT_TYPES

Row = TypeVar("Row")
Condition = ColumnElement[bool]


@dataclass(frozen=True)
class NetworkFacts:
    """The network's own row."""

    name: str
    incarnation: int
    secret: bytes


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection on which every read sees the same committed instant.

    Waits for a database that is away when it begins; what fails later is the caller's to repeat.
    """
    with patiently(engine.connect)().execution_options(is_read=True) as connection:
        yield connection


def column(noun: type[Any], name: str) -> ColumnElement[Any]:
    """Return a column of a decided noun, for conditions."""
    found: ColumnElement[Any] = tables.DECIDED[noun.__name__].c[name]
    return found


def rows(
    connection: Connection,
    noun: type[Row],
    *conditions: Condition,
    limit: int | None = None,
    newest_first: bool = False,
) -> list[Row]:
    """Return rows of a noun that meet every condition, in order of id."""
    table = tables.DECIDED[noun.__name__]
    order = table.c.id.desc() if newest_first else table.c.id
    query = select(*(table.c[name] for name in columns_of(noun))).where(*conditions).order_by(order)
    if limit is not None:
        query = query.limit(limit)
    return [noun(*row) for row in connection.execute(query)]


def find(connection: Connection, noun: type[Row], number: int) -> Row | None:
    """Return one row by its id, or None."""
    found = rows(connection, noun, column(noun, "id") == number)
    return found[0] if found else None


def by_id(connection: Connection, noun: type[Row], numbers: Iterable[int]) -> dict[int, Row]:
    """Return the rows with these ids."""
    found = rows(connection, noun, column(noun, "id").in_(sorted(set(numbers))))
    return {row.id: row for row in found}  # type: ignore[attr-defined]


def sums(
    connection: Connection,
    noun: type[Any],
    keys: tuple[str, ...],
    added: tuple[str, ...],
    *conditions: Condition,
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return, for each combination of `keys`, the count of rows and the sums of `added`."""
    table = tables.DECIDED[noun.__name__]
    by = [table.c[key] for key in keys]
    query = select(*by, func.count(), *(func.sum(table.c[name]) for name in added))
    found = connection.execute(query.where(*conditions).group_by(*by))
    width = len(keys)
    return {tuple(row[:width]): tuple(int(n or 0) for n in row[width:]) for row in found}


def numbers_where(noun: type[Any], *conditions: Condition) -> Select[Any]:
    """Return the query of the ids that meet every condition, to ask for their documents."""
    return select(tables.DECIDED[noun.__name__].c.id).where(*conditions)


def documents(
    connection: Connection, kind: str, numbers: Iterable[int] | Select[Any] | None = None
) -> dict[int, Any]:
    """Return documents of one kind by number: those asked for, or all."""
    table = tables.document
    query = select(table.c.number, table.c.body).where(table.c.kind == kind)
    if isinstance(numbers, Select):
        query = query.where(table.c.number.in_(numbers))
    elif numbers is not None:
        query = query.where(table.c.number.in_(sorted(set(numbers))))
    return {n: _document(kind, body) for n, body in connection.execute(query)}


def document(connection: Connection, kind: str, number: int) -> Any:
    """Return one document, or None."""
    return documents(connection, kind, (number,)).get(number)


def names(connection: Connection, kind: str) -> dict[int, str]:
    """Return what people call every project or provider."""
    return {number: named.name for number, named in documents(connection, kind).items()}


def pool_names(connection: Connection) -> dict[int, tuple[str, str]]:
    """Return (provider, pool) as people call them, for every pool."""
    providers, keys = names(connection, "provider"), documents(connection, "agent")
    return {
        pool.id: (providers[pool.provider], keys[pool.id].pool) for pool in rows(connection, Pool)
    }


def network_facts(connection: Connection) -> NetworkFacts:
    """Return the network's name, incarnation and secret."""
    table = tables.network
    query = select(table.c.name, table.c.incarnation, table.c.secret)
    return NetworkFacts(*connection.execute(query).one())


def last_round(connection: Connection) -> tuple[int, int]:
    """Return (number, instant) of the last committed round; zeros before the first."""
    table = tables.round_
    query = select(table.c.number, table.c.at).order_by(table.c.number.desc()).limit(1)
    found = connection.execute(query).first()
    return (int(found[0]), int(found[1])) if found else (0, 0)


def oldest_waiting_at(connection: Connection) -> int | None:
    """Return when the oldest inbox row that no round has taken arrived."""
    table = tables.inbox
    query = select(table.c.at).where(table.c.taken_round.is_(None)).order_by(table.c.id).limit(1)
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def asked(connection: Connection, number: int) -> dict[str, Any]:
    """Return the body of one inbox row; empty when it is not kept any more."""
    query = select(tables.inbox.c.body).where(tables.inbox.c.id == number)
    text = connection.execute(query).scalar()
    return dict(json.loads(text)) if text else {}


def refused_rows(
    connection: Connection, project: int | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return refused asks, newest first: id, kind, actor, at, body, refusal, document.

    Only those of one project unless it is None.
    """
    table = tables.inbox
    # Quotes inside JSON strings are escaped, so this text is always the answer's own field.
    is_refused = table.c.answer.like('%"refusal":{"code":%')
    query = select(table).where(table.c.kind.in_(("job", "quote")), is_refused)
    if project is not None:
        query = query.where(table.c.actor == project)
    if before is not None:
        query = query.where(table.c.id < before)
    found = connection.execute(query.order_by(table.c.id.desc()).limit(limit)).mappings()
    return [
        {
            **{name: row[name] for name in ("id", "kind", "actor", "at")},
            "body": json.loads(row["body"]),
            **{name: json.loads(row["answer"]).get(name) for name in ("refusal", "document")},
        }
        for row in found
    ]


def enroller(connection: Connection, key: str, body: dict[str, Any]) -> int | None:
    """Return the provider whose agent enrolled under this key with this very body, or None."""
    table = tables.inbox
    query = select(table.c.actor, table.c.body).where(
        table.c.kind == "agent", table.c.idempotency_key == key
    )
    for actor, text in connection.execute(query):
        if json.loads(text) == body:
            return int(actor)
    return None


def _document(kind: str, body: str) -> Any:
    return from_plain(DOCUMENT_TYPES[kind], json.loads(body))
