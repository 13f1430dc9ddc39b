"""Open the database, and bring its tables to a version."""

import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from intertie.store import postgres

# A door has some hundred threads, most of which wait for a round without a connection.
# Opening a session costs PostgreSQL more than a statement does: keep as many as a door has threads.
POOL_SIZE, POOL_OVERFLOW = 40, 10
# Two processes that start at once must not both make the tables. Any number that nobody else uses.
_MIGRATING = 0x1E7E1E


def open_database(url: str) -> Engine:
    """Return an engine for `sqlite:////path/network.sqlite` or `postgresql://user@host/name`.

    What was acknowledged survives a power cut: SQLite runs in WAL mode with full fsync,
    PostgreSQL with synchronous commits. No connection is made yet.
    """
    target = _driven(url)
    if target.get_backend_name() == "sqlite":
        engine = create_engine(target)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    engine = create_engine(
        target,
        pool_pre_ping=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        connect_args=postgres.session_settings(target),
    )
    event.listen(engine, "connect", postgres.prepare)
    event.listen(engine, "set_connection_execution_options", postgres.as_snapshot)
    return engine


def one_read(engine: Engine) -> Connection:
    """Return a connection for one query, for which PostgreSQL need not begin a transaction."""
    return engine.connect().execution_options(is_read=True, is_single=True)


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring the tables to a version, forward or back; does nothing when they are there already."""
    config = _config()
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:all)"), {"all": _MIGRATING})
        config.attributes["connection"] = connection
        move = command.downgrade if _is_behind(connection, config, to) else command.upgrade
        move(config, to)
        connection.commit()


def _is_behind(connection: Connection, config: Config, to: str) -> bool:
    """Return whether `to` is a version before the one that the tables have."""
    at = MigrationContext.configure(connection).get_current_revision()
    if at is None or to in ("head", at):
        return False
    scripts = ScriptDirectory.from_config(config)
    return to in ("base", *(each.revision for each in scripts.iterate_revisions(at, "base")))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _driven(url: str) -> URL:
    """Return the URL with our driver where it names none."""
    target = make_url(url)
    if target.drivername in ("postgresql", "postgres"):
        return target.set(drivername="postgresql+psycopg")
    return target


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own begin is used instead of the driver's.
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=30000",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A read that turns into a write in WAL mode fails at once where another wrote meanwhile.
    is_read = connection.get_execution_options().get("is_read", False)
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")
