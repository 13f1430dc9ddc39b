"""Back up a network's database while it runs, and put a backup in its place.

SQLite through its own online backup, PostgreSQL through pg_dump and pg_restore, which must be
installed. Blobs and logs are files whose names are their content or their lease: copy the folder
after the database, with any tool, and what the database names is there. Blobs in a bucket are the
store's own to keep: no backup here holds them.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from intertie.store import tables

FACTS = "backup.json"
SQLITE_FILE, POSTGRES_FILE = "network.sqlite", "network.dump"


@dataclass(frozen=True)
class Present:
    """The network that a database holds: its incarnation, 0 for none, and whether it is led."""

    incarnation: int
    is_led: bool


class BackupFailed(Exception):
    """A backup could not be made or put back; the message says why and what to do."""


@dataclass(frozen=True)
class BackupFacts:
    """What a backup holds. `at` is in ms since 1970; `version` that of the tables."""

    network: str
    incarnation: int
    round: int
    at: int
    version: str
    database: str


def back_up(engine: Engine, folder: Path) -> BackupFacts:
    """Write a consistent copy of the database below a new folder; rounds go on meanwhile.

    Raises BackupFailed. The folder appears under its name only when it is whole.
    """
    if folder.exists():
        raise BackupFailed(f"{folder} exists already: name a new folder")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    copy = _dump if engine.dialect.name == "postgresql" else _copy_sqlite
    facts = copy(engine, part)
    (part / FACTS).write_text(json.dumps(asdict(facts), indent=1) + "\n")
    for path in part.iterdir():
        _sync(path)
    part.rename(folder)
    _sync(folder.parent)
    return facts


def read_backup(folder: Path) -> BackupFacts:
    """Return what a backup says of itself; raise BackupFailed when it is none."""
    try:
        return BackupFacts(**json.loads((folder / FACTS).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupFailed(f"{folder} holds no whole backup: {error}") from error


def restore(folder: Path, url: str) -> None:
    """Put a backup where `url` says, in place of what is there. Nobody may use it meanwhile."""
    facts = read_backup(folder)
    target = make_url(url)
    if facts.database != _kind(target):
        raise BackupFailed(f"the backup is of {facts.database}, the database is {_kind(target)}")
    if facts.database == "sqlite":
        _put_sqlite(folder / SQLITE_FILE, Path(target.database or ""))
    else:
        tool = [_tool("pg_restore"), "--clean", "--if-exists", "--no-owner", "--exit-on-error"]
        _run([*tool, "--single-transaction", "--dbname", _plain(target)], target, folder)


def present_network(url: str) -> Present:
    """Return what is known of the network that is there now, which a restore would replace."""
    target = make_url(url)
    if _kind(target) == "sqlite" and not Path(target.database or "").exists():
        return Present(0, False)
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found = connection.execute(select(tables.network.c.incarnation)).scalar()
            until = connection.execute(select(tables.leadership.c.until_at)).scalar()
            return Present(int(found or 0), int(until or 0) > _now_ms())
    except SQLAlchemyError:
        return Present(0, False)  # it is no network of ours, or one that nobody can read.
    finally:
        engine.dispose()


def _copy_sqlite(engine: Engine, folder: Path) -> BackupFacts:
    path = folder / SQLITE_FILE
    with (
        closing(sqlite3.connect(str(engine.url.database))) as source,
        closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
        (found,) = target.execute("PRAGMA quick_check").fetchone()
    if found != "ok":
        raise BackupFailed(f"the copy is damaged: {found}")
    copied = create_engine(f"sqlite:///{path}")
    try:
        with copied.connect() as connection:
            return _facts(connection, "sqlite")
    finally:
        copied.dispose()


def _dump(engine: Engine, folder: Path) -> BackupFacts:
    """Dump what one snapshot sees, so that the facts are those of the dump."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        facts = _facts(connection, "postgresql")
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        tool = [_tool("pg_dump"), "--format=custom", "--no-owner", f"--snapshot={snapshot}"]
        _run([*tool, "--dbname", _plain(engine.url)], engine.url, folder, POSTGRES_FILE)
    return facts


def _facts(connection: Connection, kind: str) -> BackupFacts:
    name, incarnation = connection.execute(
        select(tables.network.c.name, tables.network.c.incarnation)
    ).one()
    last = connection.execute(select(func.max(tables.round_.c.number))).scalar()
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return BackupFacts(str(name), int(incarnation), int(last or 0), _now_ms(), str(version), kind)


def _put_sqlite(source: Path, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, part)
    _sync(part)
    for log in ("-wal", "-shm"):
        target.with_name(target.name + log).unlink(missing_ok=True)
    part.rename(target)
    _sync(target.parent)


def _run(command: list[str], url: URL, folder: Path, out: str | None = None) -> None:
    """Run one of PostgreSQL's tools; the password goes by its environment, never by its words."""
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    file = ["--file", str(folder / out)] if out else [str(folder / POSTGRES_FILE)]
    done = subprocess.run(
        [*command, *file],
        env=os.environ | secret,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupFailed(f"{Path(command[0]).name}: {done.stderr.strip()[-1000:]}")


def _tool(name: str) -> str:
    """Return where a tool of PostgreSQL is; Debian keeps the newest out of PATH."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_major)
    found = shutil.which(name) or (str(kept[-1]) if kept else None)
    if found is None:
        raise BackupFailed(f"{name} is not installed (Debian: postgresql-client)")
    return found


def _major(path: Path) -> Any:
    return tuple(int(part) for part in path.parts[-3].split(".") if part.isdigit())


def _kind(url: URL) -> str:
    return url.get_backend_name()


def _plain(url: URL) -> str:
    """Return the URL as PostgreSQL's own tools read it, without the password."""
    plain = url.set(drivername="postgresql", password=None)
    return plain.render_as_string()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
