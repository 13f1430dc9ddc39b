"""Drop inbox rows that nobody will ask for: syncs, sessions and questions of long ago.

A job keeps its row, because its number is the row's and its spec is shown from it.
"""

from sqlalchemy import Connection, delete, func, select, update

from intertie.store import tables

KINDS = ("sync", "session", "why", "queue", "quote")
PORTION = 1_000


def prune(connection: Connection, before: int, after: int) -> int | None:
    """Look at the next rows after a number, and drop what rounds took of KINDS before an instant.

    Returns the number to go on after; None when all that is left is too young. The network keeps
    the last round whose rows are not all there: no replay can begin before it.
    """
    inbox, network = tables.inbox, tables.network
    query = select(inbox.c.id, inbox.c.at, inbox.c.kind, inbox.c.taken_round)
    rows = connection.execute(
        query.where(inbox.c.id > after).order_by(inbox.c.id).limit(PORTION)
    ).all()
    old = [row for row in rows if row.at < before and row.taken_round is not None]
    gone = [row for row in old if row.kind in KINDS]
    if gone:
        connection.execute(delete(inbox).where(inbox.c.id.in_([row.id for row in gone])))
        last = max(row.taken_round for row in gone)
        highest = func.max if connection.dialect.name == "sqlite" else func.greatest
        pruned = highest(network.c.pruned_round, last)
        connection.execute(update(network).values(pruned_round=pruned))
    return old[-1].id if old and len(old) == len(rows) else None
