"""Migrations go forward and back with what the tables hold."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Integer, LargeBinary, MetaData, Text, insert, inspect, select, update

from intertie.control.bootstrap import open_network
from intertie.model.parties import device_code
from intertie.store import tables
from intertie.store.database import migrate, open_database
from intertie.store.versions import newest_version, version_of

ROWS = 3


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def test_a_fresh_database_is_exactly_what_the_tables_say(engine: Engine) -> None:
    migrate(engine)
    with engine.connect().execution_options(is_read=True) as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_migrations_go_down_and_up_again_and_twice_is_nothing_new(engine: Engine) -> None:
    migrate(engine)
    migrate(engine)
    full = inspect(engine).get_table_names()
    migrate(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert sorted(inspect(engine).get_table_names()) == sorted(full)


def test_processes_that_start_at_once_make_one_network(database_url: str, engine: Engine) -> None:
    migrate(engine, "base")
    together = Barrier(4)

    def start(name: str) -> str:
        together.wait()
        opened = open_network(database_url, name)
        with opened.connect().execution_options(is_read=True) as connection:
            found = connection.execute(select(tables.network.c.name)).scalar_one()
        opened.dispose()
        return found

    with ThreadPoolExecutor(4) as threads:
        names = set(threads.map(start, "abcd"))
    assert len(names) == 1


def test_what_the_first_tables_hold_survives_every_migration_and_the_way_back(
    engine: Engine,
) -> None:
    migrate(engine, "base")
    migrate(engine, "0001")
    fill(engine)
    first = contents(engine)
    assert all(len(rows) == ROWS for rows in first.values())
    migrate(engine)
    newest = contents(engine)
    assert version_of(engine) == newest_version()
    for table, rows in first.items():
        kept = [{name: row[name] for name in rows[0]} for row in newest[table]]
        assert kept == rows, table
    assert [row["changed_round"] for row in newest["job"]] == [0] * ROWS
    assert [(row["term"], row["holder"]) for row in newest["leadership"]] == [(0, "")]
    migrate(engine, "0001")
    assert contents(engine) == first
    migrate(engine)
    assert contents(engine) == newest


def test_device_classes_and_what_is_lent_are_known_after_an_upgrade_and_gone_after_the_way_back(
    engine: Engine,
) -> None:
    migrate(engine, "base")
    migrate(engine, "0003")
    nodes = [{"device_class": "a100"}, {"device_class": ""}]
    before = {"nodes": nodes, "terms": {"grace_s": 5}}
    options = [{"pools": [{"pool": 7}]}]
    known = MetaData()
    known.reflect(engine)
    node, pool, document = (known.tables[name] for name in ("node", "pool", "document"))
    with engine.begin() as connection:
        usual = {column.name: 0 for column in node.columns}
        for index, devices in enumerate((8, 0)):
            row = {"id": index + 1, "pool": 7, "index": index, "device_count": devices}
            connection.execute(insert(node).values(**(usual | row)))
        usual = {column.name: 0 for column in pool.columns}
        connection.execute(insert(pool).values(**(usual | {"id": 7})))
        for kind, body in (("pool", before), ("quote", {"options": options})):
            row = {"kind": kind, "number": 7, "body": json.dumps(body)}
            connection.execute(insert(document).values(**row))
    migrate(engine)
    newest = contents(engine)
    assert sorted(row["device_class"] for row in newest["node"]) == [0, device_code("a100")]
    assert {row["machine_count"] for row in newest["node"]} == {1}
    assert [row["lent_device_count"] for row in newest["pool"]] == [8]
    newer = {"nodes": [{**n, "machine_count": 2} for n in nodes]}
    newer |= {"terms": {"grace_s": 5, "lent_device_count": 3}}
    told = {"pool": newer, "quote": {"options": [{"pools": [{"pool": 7, "wait_s": 9}]}]}}
    with engine.begin() as connection:
        for kind, body in told.items():
            changed = update(document).where(document.c.kind == kind)
            connection.execute(changed.values(body=json.dumps(body)))
        row = {"kind": "attempt", "number": 1, "body": "{}"}
        connection.execute(insert(document).values(**row))
    migrate(engine, "0003")
    kept = {row["kind"]: json.loads(row["body"]) for row in contents(engine)["document"]}
    assert kept == {"pool": before, "quote": {"options": options}}


def fill(engine: Engine) -> None:
    """Write rows into every table that is there, each value another one."""
    known = MetaData()
    known.reflect(engine)
    with engine.begin() as connection:
        for place, table in enumerate(known.sorted_tables):
            if table.name == "alembic_version":
                continue
            for row in range(1, ROWS + 1):
                values = {c.name: a_value(c.type, 100 * place + row) for c in table.columns}
                connection.execute(insert(table).values(**values))


def a_value(kind: Any, number: int) -> Any:
    """Return a value that only this number has, in a column's type."""
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, LargeBinary):
        return b"\x00\xff" + bytes([number % 256])
    assert isinstance(kind, Text), kind
    return f'{{"text":"算联 {number}"}}'


def contents(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table."""
    known = MetaData()
    known.reflect(engine)
    with engine.connect().execution_options(is_read=True) as connection:
        return {
            table.name: sorted(
                (dict(row) for row in connection.execute(select(table)).mappings()), key=str
            )
            for table in known.sorted_tables
            if table.name != "alembic_version"
        }
