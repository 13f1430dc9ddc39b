"""Write many rows at once: whole columns in one statement on PostgreSQL, `executemany` on SQLite.

The statements are written out, not built by SQLAlchemy, because they are the river's hottest.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, Table

from intertie.model.plain import to_plain
from intertie.store.postgres import int_array, text_array
from intertie.world.table import Ints, columns_of

Numbers = Ints | Sequence[int]
Texts = Sequence[str] | Sequence[str | None]


def write_rows(
    connection: Connection,
    table: Table,
    numbers: Mapping[str, Numbers],
    texts: Mapping[str, Texts] | None = None,
    key: tuple[str, ...] = (),
) -> None:
    """Write rows given as columns of one length; a row whose `key` is there is written over.

    Without a key every row must be new: IntegrityError otherwise.
    """
    names = (*numbers, *(texts or ()))
    if _is_postgres(connection):
        arrays = [*map(int_array, numbers.values()), *map(text_array, (texts or {}).values())]
        connection.exec_driver_sql(_of_arrays(table.name, names, key), tuple(arrays))
        return
    rows = list(zip(*map(_plain, numbers.values()), *(texts or {}).values(), strict=True))
    if rows:
        connection.exec_driver_sql(_of_values(table.name, names, key), rows)


def columns_from(kind: type[Any], rows: Sequence[Any]) -> dict[str, Ints]:
    """Return the columns of a noun's rows by name; axes [row]."""
    names = columns_of(kind)
    data: Ints = np.array(list(map(attrgetter(*names), rows)), np.int64).reshape(-1, len(names)).T
    return dict(zip(names, data, strict=True))


def set_where_in(
    connection: Connection, table: Table, values: Mapping[str, int], ids: Iterable[int]
) -> None:
    """Set columns of the rows that have these ids to the same values, in one statement."""
    every = list(ids)
    if not every:
        return
    if _is_postgres(connection):
        changed = ", ".join(f'"{name}" = %s' for name in values)
        chosen, given = "= ANY(%s)", (*values.values(), int_array(every))
    else:
        changed = ", ".join(f'"{name}" = ?' for name in values)
        chosen, given = "IN (SELECT value FROM json_each(?))", (*values.values(), str(every))
    statement = f'UPDATE "{table.name}" SET {changed} WHERE id {chosen}'
    connection.exec_driver_sql(statement, given)


def text_of(value: Any) -> str:
    """Return a frozen value, or plain data, as JSON text.

    Raises UnicodeEncodeError where a text in it holds half a character.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # a number of more than 64 bits, or text that is not Unicode
        text = json.dumps(to_plain(value), separators=(",", ":"), ensure_ascii=False)
        return text.encode().decode()


@cache
def _of_arrays(table: str, names: tuple[str, ...], key: tuple[str, ...]) -> str:
    arrays = ", ".join(["%s"] * len(names))
    return f"{_into(table, names)} SELECT * FROM unnest({arrays}){_over(names, key)}"


@cache
def _of_values(table: str, names: tuple[str, ...], key: tuple[str, ...]) -> str:
    return f"{_into(table, names)} VALUES ({', '.join('?' * len(names))}){_over(names, key)}"


def _into(table: str, names: tuple[str, ...]) -> str:
    return f'INSERT INTO "{table}" ({", ".join(_quoted(names))})'


def _over(names: tuple[str, ...], key: tuple[str, ...]) -> str:
    if not key:
        return ""
    changed = ", ".join(f"{n} = excluded.{n}" for n in _quoted(n for n in names if n not in key))
    return f" ON CONFLICT ({', '.join(_quoted(key))}) DO UPDATE SET {changed}"


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _plain(column: Numbers) -> Sequence[int]:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"
