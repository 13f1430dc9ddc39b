"""Numbers after a restore: none is given twice, though what was given after the backup is lost.

Agents, receipts and receivers of webhooks still know those numbers. So each incarnation of a
network begins above all that its earlier ones can have used: at a power of 32, which reads as one
more digit or a higher first one (`job-100000c`).
"""

from sqlalchemy import Connection, func, select, text, update

from intertie.store import tables

# 32 ** 6: more numbers than one incarnation of a network ever gives.
NUMBERS = 32**6
SEQUENCES = (tables.inbox, tables.event)


def first_number(incarnation: int) -> int:
    """Return the first number that an incarnation gives."""
    return (incarnation - 1) * NUMBERS + 1


def begin_incarnation(connection: Connection, incarnation: int) -> None:
    """Set the network's incarnation; what the database numbers and terms begin above the others."""
    connection.execute(update(tables.network).values(incarnation=incarnation))
    # Nor may a leader that slept through the restore find its own term again.
    term = first_number(incarnation)
    connection.execute(update(tables.leadership).values(term=term, holder="", until_at=0))
    for table in SEQUENCES:
        last = connection.execute(select(func.max(table.c.id))).scalar() or 0
        _go_on_after(connection, table.name, max(last, first_number(incarnation) - 1))


def _go_on_after(connection: Connection, table: str, last: int) -> None:
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table, "id")
        connection.execute(select(func.setval(sequence, max(1, last))))
        return
    known = text("SELECT count(*) FROM sqlite_sequence WHERE name = :name")
    if connection.execute(known, {"name": table}).scalar():
        statement = text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name")
    else:
        statement = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
    connection.execute(statement, {"name": table, "last": last})
