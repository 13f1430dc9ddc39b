"""Which version the tables of a database have, and which is the newest."""

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine


def version_of(engine: Engine) -> str | None:
    """Return the version of the tables that are there; None where there are none."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_version() -> str:
    """Return the version that this program works with."""
    found = ScriptDirectory(str(Path(__file__).parent / "migrations")).get_current_head()
    assert found is not None, "there is a first migration"
    return found


def is_newest(engine: Engine) -> bool:
    """Return whether the tables are those that this program works with."""
    return version_of(engine) == newest_version()
