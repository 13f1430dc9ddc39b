"""Commit one round: all of its Changes in one database transaction, or none."""

from collections import defaultdict
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, update

from intertie.cycle.inbox import InboxRow
from intertie.model.ledger import Transaction
from intertie.model.meter import UsageRecord
from intertie.model.refusal import Refusal
from intertie.store import tables
from intertie.store.postgres import int_array, text_array
from intertie.store.writing import columns_from, set_where_in, text_of, write_rows
from intertie.world.changes import Answer, Changes
from intertie.world.table import Ints, columns_of


def commit_round(
    connection: Connection,
    number: int,
    at: int,
    inbox: list[InboxRow],
    changes: Changes,
    balances: dict[int, int],
    took_us: int,
) -> None:
    """Write one round. `balances` holds what each touched account has after it."""
    _decided(connection, number, changes)
    _documents(connection, changes)
    _money(connection, number, changes, balances)
    _events(connection, changes, at)
    _answers(connection, number, inbox, changes)
    row = {"number": number, "at": at, "digest": changes.digest(), "took_us": took_us}
    connection.execute(insert(tables.round_), [row])


def lay_aside(connection: Connection, row: int, refusal: Refusal) -> None:
    """Mark an inbox row that no round can take; no round has number 0, so no replay meets it."""
    statement = update(tables.inbox).where(tables.inbox.c.id == row)
    said = text_of({"refusal": refusal, "values": {}, "document": None})
    connection.execute(statement.values(taken_round=0, answer=said))


def _decided(connection: Connection, number: int, changes: Changes) -> None:
    """Write rows, new ones in blocks first, since a later step may have changed some of them."""
    for noun, block in changes.blocks:
        columns = dict(zip(columns_of(tables.NOUN[noun]), block, strict=True))
        write_rows(connection, tables.DECIDED[noun], columns | _changed(number, block.shape[1]))
    by_noun: dict[str, list[Any]] = defaultdict(list)
    for (noun, _), row in changes.rows.items():
        by_noun[noun].append(row)
    for noun, rows in by_noun.items():
        columns = columns_from(type(rows[0]), rows) | _changed(number, len(rows))
        write_rows(connection, tables.DECIDED[noun], columns, key=("id",))
    retired: dict[str, list[int]] = defaultdict(list)
    for noun, each in changes.retired:
        retired[noun].append(each)
    for noun, ids in retired.items():
        gone = {"is_retired": 1, "changed_round": number}
        set_where_in(connection, tables.DECIDED[noun], gone, ids)


def _documents(connection: Connection, changes: Changes) -> None:
    if changes.documents:
        kinds, numbers = zip(*changes.documents, strict=True)
        texts = {"kind": kinds, "body": [text_of(each) for each in changes.documents.values()]}
        key = ("kind", "number")
        write_rows(connection, tables.document, {"number": numbers}, texts, key)


def _money(connection: Connection, number: int, changes: Changes, balances: dict[int, int]) -> None:
    if changes.transactions:
        _transactions(connection, changes.transactions, balances)
    if changes.usage:
        columns = columns_from(UsageRecord, changes.usage) | _changed(number, len(changes.usage))
        write_rows(connection, tables.DECIDED["UsageRecord"], columns)


def _transactions(
    connection: Connection, booked: list[Transaction], balances: dict[int, int]
) -> None:
    names = [column.name for column in tables.transaction.columns]
    columns = {name: [getattr(each, name) for each in booked] for name in names}
    write_rows(connection, tables.transaction, columns)
    entries = [
        (each.id, index, entry.source, entry.destination, entry.amount_micro)
        for each in booked
        for index, entry in enumerate(each.postings)
    ]
    names = [column.name for column in tables.posting.columns]
    postings = dict(zip(names, _ints(entries, len(names)).T, strict=True))
    write_rows(connection, tables.posting, postings)
    touched = sorted({*postings["source"].tolist(), *postings["destination"].tolist()})
    amounts = [balances[account] for account in touched]
    columns = {"account": touched, "amount_micro": amounts}
    write_rows(connection, tables.balance, columns, key=("account",))


def _events(connection: Connection, changes: Changes, at: int) -> None:
    if changes.events:
        numbers = {"job": [e.job for e in changes.events], "at": [at] * len(changes.events)}
        bodies = [text_of(e.values) for e in changes.events]
        texts = {"code": [e.code for e in changes.events], "body": bodies}
        write_rows(connection, tables.event, numbers, texts)


def _answers(connection: Connection, number: int, inbox: list[InboxRow], changes: Changes) -> None:
    answers = {answer.inbox: answer for answer in changes.answers}
    silent = [row.id for row in inbox if row.id not in answers]
    set_where_in(connection, tables.inbox, {"taken_round": number}, silent)
    spoken = [answers[row.id] for row in inbox if row.id in answers]
    if spoken:
        _spoken(connection, number, spoken)


def _spoken(connection: Connection, number: int, answers: list[Answer]) -> None:
    ids, texts = [each.inbox for each in answers], [text_of(each) for each in answers]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            """UPDATE inbox SET taken_round = %s, answer = said.answer
            FROM unnest(%s, %s) AS said(id, answer) WHERE inbox.id = said.id""",
            (number, int_array(ids), text_array(texts)),
        )
        return
    connection.exec_driver_sql(
        "UPDATE inbox SET taken_round = ?, answer = ? WHERE id = ?",
        [(number, text, row) for row, text in zip(ids, texts, strict=True)],
    )


def _ints(rows: list[Any], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(-1, width)


def _changed(number: int, rows: int) -> dict[str, Ints]:
    return {"changed_round": np.full(rows, number, np.int64)}
