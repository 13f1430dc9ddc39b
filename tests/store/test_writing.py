"""Rows are written in bulk, the same on both databases."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from intertie.control.bootstrap import open_network
from intertie.cycle.inbox import InboxRow
from intertie.model.job import Task
from intertie.model.ledger import Posting, Transaction
from intertie.model.parties import Named
from intertie.model.plain import to_plain
from intertie.model.request import Request
from intertie.store import tables
from intertie.store.appending import append
from intertie.store.committing import commit_round
from intertie.store.loading import load_world, transactions
from intertie.store.writing import set_where_in, text_of, write_rows
from intertie.world.changes import Changes
from intertie.world.table import columns_of
from tests.builders import NOW, a_request, some_facts

LARGEST, SMALLEST = 2**63 - 1, -(2**63)


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_network(database_url)
    yield engine
    engine.dispose()


def rows_of(engine: Engine, table: Any) -> list[tuple[Any, ...]]:
    key = list(table.primary_key.columns)
    with engine.connect().execution_options(is_read=True) as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*key))]


def test_rows_are_written_and_written_over_by_their_key(engine: Engine) -> None:
    numbers = {"account": np.array([1, 2, 3]), "amount_micro": np.array([SMALLEST, 0, LARGEST])}
    with engine.begin() as connection:
        write_rows(connection, tables.balance, numbers, key=("account",))
        write_rows(connection, tables.balance, {"account": [3, 4], "amount_micro": [7, 8]},
                   key=("account",))  # fmt: skip
    assert rows_of(engine, tables.balance) == [(1, SMALLEST), (2, 0), (3, 7), (4, 8)]


def test_without_a_key_every_row_must_be_new_and_none_is_written_else(engine: Engine) -> None:
    with engine.begin() as connection:
        write_rows(connection, tables.balance, {"account": [2], "amount_micro": [1]})
    with pytest.raises(IntegrityError), engine.begin() as connection:
        write_rows(connection, tables.balance, {"account": [1, 2], "amount_micro": [1, 1]})
    assert rows_of(engine, tables.balance) == [(2, 1)]


def test_texts_are_kept_to_the_letter_and_no_rows_are_no_rows(engine: Engine) -> None:
    texts = ["", "{}", "NULL", 'a "b" \\ {c,d}', "算联\n\t", "x" * 100_000]
    numbers = {"number": range(len(texts))}
    with engine.begin() as connection:
        given = {"kind": ["k"] * len(texts), "body": texts}
        write_rows(connection, tables.document, numbers, given, ("kind", "number"))
        write_rows(connection, tables.document, {"number": []}, {"kind": [], "body": []})
    assert [row[2] for row in rows_of(engine, tables.document)] == texts


def test_columns_are_set_where_the_ids_are_and_nowhere_else(engine: Engine) -> None:
    numbers = [append(engine, "sync", 1, NOW, {}) for _ in range(4)]
    with engine.begin() as connection:
        set_where_in(connection, tables.inbox, {"taken_round": 9}, numbers[1:3])
        set_where_in(connection, tables.inbox, {"taken_round": 8}, [])
    assert [row[-2] for row in rows_of(engine, tables.inbox)] == [None, 9, 9, None]


def test_a_frozen_value_is_the_same_text_as_its_plain_data() -> None:
    for value in (a_request(), some_facts(), {"a": (1, 2), 3: None}):
        assert text_of(value) == text_of(to_plain(value))
    assert text_of({"n": 2**70}) == f'{{"n":{2**70}}}'


def test_a_round_with_everything_in_it_is_read_back_as_it_was_decided(engine: Engine) -> None:
    """A block of new rows, one of them changed in the same round, one retired, books, an answer."""
    asked = append(engine, "job", 1, NOW, {})
    silent = append(engine, "sync", 1, NOW, {})
    names = columns_of(Task)
    block = np.zeros((len(names), 50_000), np.int64)
    block[names.index("id")] = np.arange(1, 50_001)
    block[names.index("index")] = np.arange(50_000)
    changed = Task(**dict(zip(names, block[:, 6].tolist(), strict=True)) | {"state": 3})
    request: Request = a_request()
    booked = Transaction(1, 1, NOW, (Posting(1, 2, 5), Posting(1, 3, LARGEST)), lease=4)
    changes = Changes(blocks=[("Task", block)], transactions=[booked])
    changes.put(changed)
    changes.retire("Task", 3, 4)
    changes.document("provider", 1, Named("算联"))
    changes.document("request", 8, request)
    changes.event(8, "placed", pool="lab")
    changes.answer(asked, job=8)
    inbox = [InboxRow(asked, "job", 1, NOW, {}), InboxRow(silent, "sync", 1, NOW, {})]
    with engine.begin() as connection:
        balances = {1: -5, 2: 5, 3: LARGEST}
        commit_round(connection, 7, NOW, inbox, changes, balances, took_us=1)
    with engine.connect().execution_options(is_read=True) as connection:
        assert transactions(connection) == [booked]
    world = load_world(engine)
    assert len(world.tasks) == 50_000 - 2
    assert world.tasks.get(7) == changed
    assert world.tasks.get(50_000).index == 49_999
    assert world.balances == balances
    assert {row[-1] for row in rows_of(engine, tables.DECIDED["Task"])} == {7}
    answered, left = rows_of(engine, tables.inbox)
    assert (answered[-2], left[-2:]) == (7, (7, None))
    assert '"values":{"job":8}' in answered[-1]
    documents = {row[:2]: row[2] for row in rows_of(engine, tables.document)}
    assert documents == {("provider", 1): '{"name":"算联"}', ("request", 8): text_of(request)}
