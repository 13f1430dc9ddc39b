"""Webhooks: where a project wants its events sent, and how far each has been told.

Doors add and remove them; the courier alone moves cursors and notes failures. None of it is
decided, so no round and no replay knows of it.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from intertie.store import feed, tables
from intertie.store.appending import KeyReused
from intertie.store.patience import patiently

ALL = "*"


@dataclass(frozen=True)
class Webhook:
    """One address of a project. Instants in ms; `ended_at` is 0 while it is told.

    `cursor` is the number of the last event that needs no more telling. No codes means all.
    """

    id: int
    project: int
    url: str
    secret: str
    codes: tuple[str, ...]
    cursor: int
    failures: int
    next_at: int
    last_error: str
    created_at: int
    ended_at: int

    def wants(self, code: str) -> bool:
        """Return whether it asked for events of this code."""
        return not self.codes or code in self.codes


class TooMany(Exception):
    """The project has as many webhooks as it may have."""


@patiently
def add(
    engine: Engine,
    project: int,
    url: str,
    codes: tuple[str, ...],
    secret: str,
    at: int,
    most: int,
) -> Webhook:
    """Add a webhook that is told of what happens from now on; raise TooMany beyond `most`.

    A project's secret names one webhook: the same again returns it, with another address or other
    codes KeyReused.
    """
    table = tables.webhook
    with engine.begin() as connection:
        _lock(connection, project)
        same = _rows(connection, table.c.project == project, table.c.secret == secret)
        if same:
            if (same[0].url, same[0].codes) != (url, codes):
                raise KeyReused
            return same[0]
        count = select(func.count()).select_from(table).where(table.c.project == project)
        if connection.execute(count).scalar_one() >= most:
            raise TooMany
        row = {
            "project": project,
            "url": url,
            "secret": secret,
            "codes": json.dumps(codes) if codes else ALL,
            "cursor": feed.head(connection),
            "failures": 0,
            "next_at": 0,
            "last_error": "",
            "created_at": at,
        }
        number = connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one()
        return _rows(connection, table.c.id == number)[0]


def of_project(
    connection: Connection, project: int | None, since: int, limit: int
) -> list[Webhook]:
    """Return a project's webhooks, or all for None, with ids above `since`, by id."""
    table = tables.webhook
    conditions = [] if project is None else [table.c.project == project]
    return _rows(connection, table.c.id > since, *conditions, limit=limit)


def find(connection: Connection, number: int) -> Webhook | None:
    """Return one webhook, or None."""
    found = _rows(connection, tables.webhook.c.id == number)
    return found[0] if found else None


@patiently
def remove(engine: Engine, number: int) -> None:
    """Forget a webhook; nothing more is sent there."""
    with engine.begin() as connection:
        connection.execute(delete(tables.webhook).where(tables.webhook.c.id == number))


def due(connection: Connection, now: int) -> list[Webhook]:
    """Return the webhooks that are still told and need not wait after a failure."""
    table = tables.webhook
    return _rows(connection, table.c.ended_at.is_(None), table.c.next_at <= now)


@patiently
def move_on(engine: Engine, number: int, cursor: int) -> None:
    """Note that all is told up to an event; a cursor never goes back."""
    table = tables.webhook
    told = {"cursor": cursor, "failures": 0, "next_at": 0, "last_error": ""}
    statement = update(table).where(table.c.id == number, table.c.cursor < cursor).values(told)
    with engine.begin() as connection:
        connection.execute(statement)


@patiently
def note_failure(
    engine: Engine, number: int, error: str, failures: int, next_at: int, ended_at: int = 0
) -> None:
    """Note why an event could not be told and when to try again, or that it is given up."""
    table = tables.webhook
    told: dict[str, Any] = {"failures": failures, "next_at": next_at, "last_error": error}
    if ended_at:
        told["ended_at"] = ended_at
    with engine.begin() as connection:
        connection.execute(update(table).where(table.c.id == number).values(told))


def _lock(connection: Connection, project: int) -> None:
    """Let one door at a time count and add for a project; SQLite has one writer anyway."""
    table = tables.credential
    is_its = (table.c.role == "project", table.c.subject == project)
    connection.execute(select(table.c.hash).where(*is_its).with_for_update()).all()


def _rows(connection: Connection, *conditions: Any, limit: int | None = None) -> list[Webhook]:
    query = select(tables.webhook).where(*conditions).order_by(tables.webhook.c.id).limit(limit)
    return [_webhook(dict(row)) for row in connection.execute(query).mappings()]


def _webhook(row: dict[str, Any]) -> Webhook:
    codes = () if row["codes"] == ALL else tuple(json.loads(row["codes"]))
    return Webhook(**(row | {"codes": codes, "ended_at": row["ended_at"] or 0}))
