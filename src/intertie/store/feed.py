"""What happened, in the order in which it was decided: to one job, or to all of a project's.

Only the leader writes events, one round after the other, so whoever has read up to a number has
missed nothing before it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from intertie.model.ids import encode
from intertie.model.parties import Pool
from intertie.model.states import Cause, Outcome
from intertie.store import reading, tables


@dataclass(frozen=True)
class Happened:
    """One event of a job; `values` hold ids and names as people know them, `at` is in ms."""

    number: int
    job: int
    at: int
    code: str
    values: dict[str, Any]


def head(connection: Connection) -> int:
    """Return the number of the newest event of all projects, 0 before the first."""
    return int(connection.execute(select(func.max(tables.event.c.id))).scalar() or 0)


def after(connection: Connection, project: int, number: int, limit: int) -> list[Happened]:
    """Return a project's events after a number, oldest first."""
    event, job = tables.event, tables.DECIDED["Job"]
    query = (
        select(event.c.id, event.c.job, event.c.at, event.c.code, event.c.body)
        .join(job, job.c.id == event.c.job)
        .where(event.c.id > number, job.c.project == project)
        .order_by(event.c.id)
        .limit(limit)
    )
    return _happened(connection, query)


def of_job(connection: Connection, job: int, number: int, limit: int) -> list[Happened]:
    """Return a job's events after a number, oldest first."""
    event = tables.event
    query = select(event.c.id, event.c.job, event.c.at, event.c.code, event.c.body)
    query = query.where(event.c.job == job, event.c.id > number).order_by(event.c.id).limit(limit)
    return _happened(connection, query)


def _happened(connection: Connection, query: Select[Any]) -> list[Happened]:
    rows = [(*row[:4], json.loads(row[4])) for row in connection.execute(query)]
    names = _pool_names(connection, {row[4]["pool"] for row in rows if "pool" in row[4]})
    return [
        Happened(number, job, at, code, _named(job, body, names))
        for number, job, at, code, body in rows
    ]


def _named(job: int, body: dict[str, Any], names: dict[int, tuple[str, str]]) -> dict[str, Any]:
    values: dict[str, Any] = {"job": encode("job", job)}
    for name, value in body.items():
        if name == "pool":
            values["provider"], values["pool"] = names[value]
        elif name == "lease":
            values["lease"] = encode("lease", value)
        elif name == "cause":
            values["cause"] = Cause(value).name.lower()
        elif name == "outcome":
            values["outcome"] = Outcome(value).name.lower()
        else:
            values[name] = value
    return values


def _pool_names(connection: Connection, pools: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return (provider, pool) as people call them, of these pools only: there may be thousands."""
    found: Sequence[Pool] = list(reading.by_id(connection, Pool, pools).values())
    providers = reading.documents(connection, "provider", (pool.provider for pool in found))
    agents = reading.documents(connection, "agent", (pool.id for pool in found))
    return {pool.id: (providers[pool.provider].name, agents[pool.id].pool) for pool in found}
