"""What doors write: inbox rows, credentials, blob owners. Nothing that is decided."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from intertie.store import tables
from intertie.store.database import one_read
from intertie.store.patience import patiently
from intertie.store.postgres import int_array, text_array
from intertie.store.writing import text_of

# A sync says its epoch and sequence: to append it twice is to say it twice, and harmless.
KINDS_WITHOUT_KEY = ("sync",)


class KeyReused(Exception):
    """The idempotency key was used before with another body."""


@dataclass(frozen=True)
class Appended:
    """What one request adds to the inbox; `at` in ms since 1970."""

    kind: str
    actor: int
    at: int
    body: dict[str, Any]
    key: str | None = None


@dataclass(frozen=True)
class Waited:
    """An inbox row as its door sees it: taken or not, and its answer as plain data."""

    id: int
    is_taken: bool
    answer: dict[str, Any] | None


def append(
    engine: Engine, kind: str, actor: int, at: int, body: dict[str, Any], key: str | None = None
) -> int:
    """Append an inbox row and return its id; durable when this returns.

    The same key with the same body returns the first row's id; with another body KeyReused.
    """
    [found] = append_many(engine, [Appended(kind, actor, at, body, key)])
    if isinstance(found, KeyReused):
        raise found
    return found


def append_many(engine: Engine, asked: Sequence[Appended]) -> list[int | KeyReused]:
    """Append rows in one transaction and return their ids in order; durable when this returns.

    A row whose key and body are there already gets the first one's id; another body under the key
    gets KeyReused in its place. Waits for a database that is away: rows have keys, so that what was
    committed without our hearing of it is found and not appended again.
    Raises UnicodeEncodeError where a body holds half a character.
    """
    return _append(engine, [_row(each) for each in asked])


def waited(engine: Engine, number: int) -> Waited:
    """Return whether a round has taken the row, and what it answered; KeyError if there is none."""
    return waited_many(engine, (number,))[number]


@patiently
def waited_many(engine: Engine, numbers: Collection[int]) -> dict[int, Waited]:
    """Return for each row that is there whether a round has taken it, and what it answered."""
    table = tables.inbox
    query = select(table.c.id, table.c.taken_round, table.c.answer).where(
        table.c.id.in_(sorted(set(numbers)))
    )
    with one_read(engine) as connection:
        return {
            number: Waited(number, taken is not None, orjson.loads(answer) if answer else None)
            for number, taken, answer in connection.execute(query)
        }


def add_credential(connection: Connection, token: str, role: str, subject: int, at: int) -> None:
    """Keep the hash of a token with who its bearer is."""
    row = {"hash": hash_of(token), "role": role, "subject": subject, "created_at": at}
    connection.execute(insert(tables.credential), [row])


@patiently
def find_credential(engine: Engine, token: str) -> tuple[str, int] | None:
    """Return (role, subject) of a bearer token, or None when it is unknown or spent."""
    table = tables.credential
    query = select(table.c.role, table.c.subject).where(
        table.c.hash == hash_of(token), table.c.spent_at.is_(None)
    )
    with one_read(engine) as connection:
        found = connection.execute(query).one_or_none()
    return (str(found[0]), int(found[1])) if found else None


def has_credential(connection: Connection, role: str, subject: int) -> bool:
    """Return whether a token was ever made for this role and subject."""
    table = tables.credential
    query = select(table.c.hash).where(table.c.role == role, table.c.subject == subject).limit(1)
    return connection.execute(query).first() is not None


def spend_credential(engine: Engine, token: str, at: int) -> bool:
    """Spend a one-time token; return False if it was spent before."""
    table = tables.credential
    statement = (
        update(table)
        .where(table.c.hash == hash_of(token), table.c.spent_at.is_(None))
        .values(spent_at=at)
    )
    with engine.begin() as connection:
        return connection.execute(statement).rowcount == 1


@patiently
def own_blob(engine: Engine, sha: str, project: int) -> None:
    """Note that a project has put a blob; putting it again is fine."""
    row = {"sha256": sha, "project": project}
    if owns_blob(engine, sha, project):
        return
    try:
        with engine.begin() as connection:
            connection.execute(insert(tables.blob_owner), [row])
    except IntegrityError:
        return


@patiently
def owns_blob(engine: Engine, sha: str, project: int) -> bool:
    """Return whether a project has put this blob."""
    table = tables.blob_owner
    query = select(table.c.sha256).where(table.c.sha256 == sha, table.c.project == project)
    with one_read(engine) as connection:
        return connection.execute(query).first() is not None


def hash_of(token: str) -> str:
    """Return what is kept of a token. Tokens are 32 random bytes, so a plain hash is enough."""
    return sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class _Row:
    kind: str
    actor: int
    at: int
    body: str
    key: str | None
    body_hash: str

    @property
    def once(self) -> tuple[str, int, str | None]:
        return self.kind, self.actor, self.key


def _row(asked: Appended) -> _Row:
    body = text_of(asked.body)
    is_repeatable = asked.key is not None or asked.kind in KINDS_WITHOUT_KEY
    key = asked.key if is_repeatable else f".{secrets.token_urlsafe(12)}"
    return _Row(asked.kind, asked.actor, asked.at, body, key, sha256(body.encode()).hexdigest())


@patiently
def _append(engine: Engine, rows: list[_Row]) -> list[int | KeyReused]:
    insert_rows = _insert_arrays if engine.dialect.name == "postgresql" else _insert_each
    with engine.begin() as connection:
        ids = insert_rows(connection, rows)
        before = [row for row, number in zip(rows, ids, strict=True) if number is None]
        first = _first(connection, before) if before else {}
    return [
        _same(row, first[row.once]) if number is None else number
        for row, number in zip(rows, ids, strict=True)
    ]


def _insert_each(connection: Connection, rows: list[_Row]) -> list[int | None]:
    """Return each new row's id, None where its key is there already."""
    ids: list[int | None] = []
    for row in rows:
        done = connection.exec_driver_sql(
            """INSERT INTO inbox (kind, actor, at, body, idempotency_key, body_hash)
            VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (kind, actor, idempotency_key) DO NOTHING""",
            (row.kind, row.actor, row.at, row.body, row.key, row.body_hash),
        )
        ids.append(done.lastrowid if done.rowcount else None)
    return ids


def _insert_arrays(connection: Connection, rows: list[_Row]) -> list[int | None]:
    """The same in one statement: numbers are given first, so that each row knows its own."""
    found = connection.exec_driver_sql(
        """WITH numbered AS MATERIALIZED (
            SELECT nextval(pg_get_serial_sequence('inbox', 'id')) AS id, asked.*
            FROM unnest(%s, %s, %s, %s, %s, %s) WITH ORDINALITY
                AS asked(kind, actor, at, body, idempotency_key, body_hash, place)
        ), done AS (
            INSERT INTO inbox (id, kind, actor, at, body, idempotency_key, body_hash)
            SELECT id, kind, actor, at, body, idempotency_key, body_hash FROM numbered
            ON CONFLICT (kind, actor, idempotency_key) DO NOTHING
            RETURNING id
        )
        SELECT done.id FROM numbered LEFT JOIN done USING (id) ORDER BY place""",
        (
            text_array([row.kind for row in rows]),
            int_array([row.actor for row in rows]),
            int_array([row.at for row in rows]),
            text_array([row.body for row in rows]),
            text_array([row.key for row in rows]),
            text_array([row.body_hash for row in rows]),
        ),
    )
    return [number for (number,) in found]


def _first(
    connection: Connection, rows: list[_Row]
) -> dict[tuple[str, int, str | None], tuple[int, str]]:
    """Return (id, hash of the body) of the rows that hold these keys."""
    table = tables.inbox
    once = (table.c.kind, table.c.actor, table.c.idempotency_key)
    query = select(*once, table.c.id, table.c.body_hash).where(
        tuple_(*once).in_([row.once for row in rows])
    )
    return {(kind, actor, key): (n, has) for kind, actor, key, n, has in connection.execute(query)}


def _same(row: _Row, first: tuple[int, str]) -> int | KeyReused:
    number, body_hash = first
    return number if body_hash == row.body_hash else KeyReused()
