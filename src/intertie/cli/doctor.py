"""What `intertie doctor` looks at: each check is a fact, a word for it, and what to do."""

import os
import resource
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, func, select, text

from intertie.cli.roles import Place
from intertie.control.clock import now_ms
from intertie.model.units import GIB
from intertie.store import tables
from intertie.store.artefacts import ARTEFACTS, ENDPOINT, open_bucket
from intertie.store.blobs import StoreAway

Word = Literal["ok", "warn", "bad"]
FREE_BYTES_LEAST = 2 * GIB
FILES_LEAST = 4096
SKEW_MS_MOST = 1_000
WAITING_S_MOST = 10


@dataclass(frozen=True)
class Finding:
    """One check: its name, how it stands, and the values of its sentence.

    The sentence is the text `doctor.<check>.<word>`; those of `warn` and `bad` say what to do.
    """

    check: str
    word: Word
    values: dict[str, Any] = field(default_factory=dict)


def examine(place: Place) -> Iterator[Finding]:
    """Yield every finding about a network's place on this machine, changing nothing."""
    yield _folder(place.data)
    if place.data.is_dir():
        yield _disk(place.data)
    yield _credentials(place.data)
    yield _files()
    yield from _database(place)
    yield _artefacts(place.data)
    yield _sandbox()


def _folder(data: Path) -> Finding:
    if not data.is_dir():
        return Finding("folder", "bad", {"path": str(data)})
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & 0o077:
        return Finding("folder", "warn", {"path": str(data), "mode": f"{mode:o}"})
    return Finding("folder", "ok", {"path": str(data)})


def _disk(data: Path) -> Finding:
    free = shutil.disk_usage(data).free
    probe = data / f".doctor-{os.getpid()}"
    begun = time.perf_counter()
    try:
        with probe.open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding("disk", "bad", {"path": str(data), "reason": error.strerror or str(error)})
    finally:
        probe.unlink(missing_ok=True)
    values = {"free_bytes": free, "fsync_ms": ceil((time.perf_counter() - begun) * 1000)}
    return Finding("disk", "ok" if free >= FREE_BYTES_LEAST else "warn", values)


def _artefacts(data: Path) -> Finding:
    """Blobs in a bucket are in no backup of ours: that is said even where all is well."""
    where = os.environ.get(ARTEFACTS, "")
    try:
        bucket = open_bucket(where, os.environ.get(ENDPOINT, ""))
        if bucket is None:
            return Finding("artefacts", "ok", {"where": str(data / "blobs")})
        bucket.check()
    except (ValueError, StoreAway) as error:
        return Finding("artefacts", "bad", {"where": where, "reason": str(error)})
    return Finding("artefacts", "warn", {"where": where})


def _credentials(data: Path) -> Finding:
    path = data / "credentials.json"
    if not path.exists():
        return Finding("credentials", "warn", {"path": str(path)})
    is_open = stat.S_IMODE(path.stat().st_mode) & 0o077
    return Finding("credentials", "bad" if is_open else "ok", {"path": str(path)})


def _files() -> Finding:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    values = {"files": most, "least": FILES_LEAST}
    return Finding("files", "ok" if most >= FILES_LEAST else "warn", values)


def _database(place: Place) -> Iterator[Finding]:
    from intertie.store.database import open_database
    from intertie.store.versions import is_newest

    engine = open_database(place.database)
    where = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            server = _server(connection)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the finding
        reason = str(error).partition("\n")[0]
        yield Finding("database", "bad", {"where": where, "reason": reason})
        return
    yield Finding("database", "ok", {"where": where, "server": server})
    if not is_newest(engine):
        yield Finding("tables", "bad")
        return
    yield Finding("tables", "ok")
    yield from _network(engine)
    engine.dispose()


def _network(engine: Engine) -> Iterator[Finding]:
    with engine.connect() as connection:
        checks: tuple[Callable[[Connection], Finding], ...] = (
            _durability,
            _clock,
            _leader,
            _inbox,
            _books,
        )
        for check in checks:
            yield check(connection)


def _server(connection: Connection) -> str:
    if connection.dialect.name == "postgresql":
        return f"PostgreSQL {connection.execute(text('SHOW server_version')).scalar()}"
    return f"SQLite {connection.execute(text('SELECT sqlite_version()')).scalar()}"


def _durability(connection: Connection) -> Finding:
    """What was acknowledged must be on disk: nobody may have switched that off."""
    if connection.dialect.name != "postgresql":
        level = connection.execute(text("PRAGMA synchronous")).scalar()
        return Finding("durability", "ok" if level == 2 else "bad", {"off": "synchronous"})
    names = ("fsync", "full_page_writes", "synchronous_commit")
    off = [n for n in names if connection.execute(text(f"SHOW {n}")).scalar() == "off"]
    return Finding("durability", "bad" if off else "ok", {"off": ", ".join(off)})


def _clock(connection: Connection) -> Finding:
    if connection.dialect.name != "postgresql":
        return Finding("clock", "ok", {"skew_ms": 0})
    now = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    skew = abs(int(connection.execute(now).scalar_one()) - now_ms())
    return Finding("clock", "ok" if skew <= SKEW_MS_MOST else "warn", {"skew_ms": skew})


def _leader(connection: Connection) -> Finding:
    table = tables.leadership
    term, holder = connection.execute(select(table.c.term, table.c.holder)).one()
    last = connection.execute(select(func.max(tables.round_.c.at))).scalar()
    values = {"term": term, "holder": holder, "age_s": _age_s(last)}
    if not holder:
        return Finding("leader", "bad", values)
    return Finding("leader", "ok", values)


def _inbox(connection: Connection) -> Finding:
    waiting = tables.inbox.c.taken_round.is_(None)
    query = select(func.count(), func.min(tables.inbox.c.at)).where(waiting)
    count, oldest = connection.execute(query).one()
    wait_s = _age_s(oldest)
    word: Word = "ok" if wait_s <= WAITING_S_MOST else "bad"
    return Finding("inbox", word, {"rows": count, "wait_s": wait_s})


def _books(connection: Connection) -> Finding:
    """A quick look; `intertie ledger check` recomputes every line."""
    total = connection.execute(select(func.sum(tables.balance.c.amount_micro))).scalar() or 0
    return Finding("books", "ok" if int(total) == 0 else "bad", {"sum": int(total)})


def _age_s(at: int | None) -> int:
    return max(0, now_ms() - at) // 1000 if at else 0


def _sandbox() -> Finding:
    """Only a machine that runs an agent needs these."""
    found = shutil.which("bwrap")
    return Finding("sandbox", "ok" if found else "warn", {"path": found or ""})
