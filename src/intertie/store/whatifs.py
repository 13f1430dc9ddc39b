"""What-ifs that operators asked for: rows of doors and workers, of which no decision knows."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, insert, or_, select, update

from intertie.store import tables
from intertie.store.appending import KeyReused
from intertie.store.patience import patiently

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
SILENT_MS = 120_000


@dataclass(frozen=True)
class WhatIf:
    """One what-if: the fields of the policy that differ, the span, and what was found.

    Instants in ms; `done` of `total` jobs have been lived through, as its worker said last at
    `noted_at`. `result` is empty until DONE.
    """

    id: int
    asked_at: int
    noted_at: int
    since: int
    until: int
    policy: dict[str, Any]
    state: str
    done: int
    total: int
    result: dict[str, Any]
    error: str


@patiently
def add(
    engine: Engine, policy: dict[str, Any], since: int, until: int, at: int, key: str | None
) -> WhatIf:
    """Add a what-if that waits for a worker.

    The same key again returns the same one; with another policy it raises KeyReused.
    """
    table = tables.what_if
    row = {
        "asked_at": at,
        "noted_at": at,
        "since": since,
        "until": until,
        "policy": json.dumps(policy, sort_keys=True),
        "state": WAITING,
        "done": 0,
        "total": 0,
        "result": "{}",
        "error": "",
        "idempotency_key": key,
    }
    with engine.begin() as connection:
        same = connection.execute(select(table).where(table.c.idempotency_key == key))
        known = same.mappings().first() if key else None
        if known is not None:
            if known["policy"] != row["policy"]:
                raise KeyReused
            return _what_if(known)
        number = connection.execute(insert(table).values(row)).inserted_primary_key
        assert number is not None
        found = find(connection, int(number[0]))
    assert found is not None
    return found


def find(connection: Connection, number: int) -> WhatIf | None:
    """Return one what-if, or None."""
    found = connection.execute(select(tables.what_if).where(tables.what_if.c.id == number))
    row = found.mappings().first()
    return _what_if(row) if row else None


def latest(connection: Connection, limit: int, before: int | None = None) -> list[WhatIf]:
    """Return what-ifs, newest first."""
    query = select(tables.what_if).order_by(tables.what_if.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tables.what_if.c.id < before)
    return [_what_if(row) for row in connection.execute(query).mappings()]


def take(engine: Engine, now: int) -> WhatIf | None:
    """Return the oldest that waits, now RUNNING and nobody else's; None where none waits.

    One whose worker has said nothing for SILENT_MS has lost it, and waits again.
    """
    table = tables.what_if
    is_lost = and_(table.c.state == RUNNING, table.c.noted_at < now - SILENT_MS)
    waits = or_(table.c.state == WAITING, is_lost)
    while True:
        with engine.begin() as connection:
            found = connection.execute(select(table).where(waits).order_by(table.c.id))
            row = found.mappings().first()
            if row is None:
                return None
            mine = update(table).where(table.c.id == row["id"], waits)
            if connection.execute(mine.values(state=RUNNING, noted_at=now, done=0)).rowcount == 1:
                return _what_if(row)


def note(engine: Engine, number: int, now: int, **values: Any) -> None:
    """Write how far one has come, or what was found."""
    if "result" in values:
        values["result"] = json.dumps(values["result"])
    with engine.begin() as connection:
        table = tables.what_if
        row = update(table).where(table.c.id == number)
        connection.execute(row.values(noted_at=now, **values))


def _what_if(row: Any) -> WhatIf:
    told = {name: row[name] for name in WhatIf.__dataclass_fields__}
    return WhatIf(**told | {name: json.loads(told[name]) for name in ("policy", "result")})
