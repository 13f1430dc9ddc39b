"""What only PostgreSQL needs: the settings of a session, and whole columns as parameters.

A column goes as one binary array and is unfolded by `unnest`: about as fast as COPY, and the
statement arrives whole. (A process that is paused in the middle of a COPY keeps its locks for
ever: no time-out of the server reaches it there.)
"""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import URL, Connection

from intertie.world.table import Ints

if TYPE_CHECKING:
    import psycopg

APPLICATION = "intertie"
# Who reads a whole network thinks for a while between two queries; who decides has less, see
# `control.leadership`. Both are ended some day: a paused reader holds up the vacuum.
IDLE_IN_TRANSACTION_MS = 60_000
_KEEPALIVE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_INT8, _TEXT = 20, 25
_INT8_ARRAY, _TEXT_ARRAY = 1016, 1009
_ELEMENT = np.dtype([("length", ">i4"), ("value", ">i8")])


class Array(bytes):
    """A column as PostgreSQL reads it in binary: int8[] or text[]."""

    oid = 0


class IntArray(Array):
    """An int8[]."""

    oid = _INT8_ARRAY


class TextArray(Array):
    """A text[]; its elements may be NULL."""

    oid = _TEXT_ARRAY


def session_settings(url: URL) -> dict[str, Any]:
    """Return what each connection is opened with, beside what the URL says."""
    options = [
        f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}",
        "-c synchronous_commit=on",
        str(url.query.get("options", "")),
    ]
    known = {"application_name": APPLICATION, **_KEEPALIVE}
    own = {name: value for name, value in known.items() if name not in url.query}
    return {**own, "options": " ".join(options).strip()}


def prepare(connection: "psycopg.Connection[Any]", _: Any) -> None:
    """Teach a new connection to take arrays as parameters."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: Any) -> bytes:
            return bytes(obj)

    for kind in (IntArray, TextArray):
        dumper = type(f"{kind.__name__}Dumper", (ArrayDumper,), {"oid": kind.oid})
        connection.adapters.register_dumper(kind, dumper)


def as_snapshot(_: Any, options: dict[str, Any]) -> None:
    """Have all reads of one connection that `is_read` see the same committed instant."""
    if options.get("is_single"):
        options["isolation_level"] = "AUTOCOMMIT"
    elif options.get("is_read"):
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def int_array(column: Ints | Sequence[int]) -> IntArray:
    """Return one column of whole numbers as an int8[]."""
    elements = np.empty(len(column), _ELEMENT)
    elements["length"] = 8
    elements["value"] = column
    return IntArray(_header(_INT8, len(column)) + elements.tobytes())


def text_array(column: Sequence[str | None]) -> TextArray:
    """Return one column of texts as a text[]."""
    parts = [_header(_TEXT, len(column))]
    for each in column:
        if each is None:
            parts.append(_NULL)
            continue
        encoded = each.encode()
        parts += (_length(len(encoded)), encoded)
    return TextArray(b"".join(parts))


def read_columns(connection: Connection, names: Sequence[str], source: str) -> Ints:
    """Return bigint columns, none of them NULL, of what is in `source`; axes [column, row].

    `source` is what stands after FROM. Each column comes as one binary array.
    """
    arrays = ", ".join(f'array_agg("{name}")' for name in names)
    driver: Any = connection.connection.driver_connection
    with driver.cursor(binary=True) as cursor:
        cursor.execute(f"SELECT {arrays} FROM {source}")
        found = [cursor.pgresult.get_value(0, at) for at in range(len(names))]
    if found[0] is None:
        return np.zeros((len(names), 0), np.int64)
    return np.stack([_ints_in(array) for array in found])


def _ints_in(array: bytes) -> Ints:
    elements = np.frombuffer(array, _ELEMENT, offset=_HEADER_BYTES)
    assert (elements["length"] == 8).all(), "a NULL, or no bigint"
    return elements["value"].astype(np.int64)


_HEADER_BYTES = 20
_length = struct.Struct(">i").pack
_NULL = _length(-1)


def _header(element: int, count: int) -> bytes:
    """Return dimensions, may be NULL, type, then the size and lower bound of the dimension."""
    if count == 0:
        return struct.pack(">iii", 0, 0, element)
    return struct.pack(">iiiii", 1, 1, element, count, 1)
