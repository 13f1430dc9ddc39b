"""What doors write: inbox rows, credentials, blob owners. Nothing that is decided."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from intertie.store import tables


class KeyReused(Exception):
    """The idempotency key was used before with another body."""


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
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    row = {
        "kind": kind,
        "actor": actor,
        "at": at,
        "body": text,
        "idempotency_key": key,
        "body_hash": sha256(text.encode()).hexdigest(),
    }
    try:
        with engine.begin() as connection:
            done = connection.execute(insert(tables.inbox).values(**row))
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])
    except IntegrityError:
        return _first(engine, row)


def waited(engine: Engine, number: int) -> Waited:
    """Return whether a round has taken the row, and what it answered."""
    query = select(tables.inbox.c.taken_round, tables.inbox.c.answer).where(
        tables.inbox.c.id == number
    )
    with engine.connect().execution_options(is_read=True) as connection:
        taken, answer = connection.execute(query).one()
    return Waited(number, taken is not None, json.loads(answer) if answer else None)


def add_credential(connection: Connection, token: str, role: str, subject: int, at: int) -> None:
    """Keep the hash of a token with who its bearer is."""
    row = {"hash": hash_of(token), "role": role, "subject": subject, "created_at": at}
    connection.execute(insert(tables.credential), [row])


def find_credential(engine: Engine, token: str) -> tuple[str, int] | None:
    """Return (role, subject) of a bearer token, or None when it is unknown or spent."""
    table = tables.credential
    query = select(table.c.role, table.c.subject).where(
        table.c.hash == hash_of(token), table.c.spent_at.is_(None)
    )
    with engine.connect().execution_options(is_read=True) as connection:
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


def owns_blob(engine: Engine, sha: str, project: int) -> bool:
    """Return whether a project has put this blob."""
    table = tables.blob_owner
    query = select(table.c.sha256).where(table.c.sha256 == sha, table.c.project == project)
    with engine.connect().execution_options(is_read=True) as connection:
        return connection.execute(query).first() is not None


def hash_of(token: str) -> str:
    """Return what is kept of a token. Tokens are 32 random bytes, so a plain hash is enough."""
    return sha256(token.encode()).hexdigest()


def _first(engine: Engine, row: dict[str, Any]) -> int:
    table = tables.inbox
    query = select(table.c.id, table.c.body_hash).where(
        table.c.kind == row["kind"],
        table.c.actor == row["actor"],
        table.c.idempotency_key == row["idempotency_key"],
    )
    with engine.connect().execution_options(is_read=True) as connection:
        number, body_hash = connection.execute(query).one()
    if body_hash != row["body_hash"]:
        raise KeyReused
    return int(number)
