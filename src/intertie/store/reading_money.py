"""What doors read of the books: balances, transactions with their postings, proofs."""

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from intertie.ledger.proving import Proof, prove
from intertie.model.lease import Hold
from intertie.model.ledger import Account, Posting, Transaction
from intertie.model.meter import UsageRecord
from intertie.store import tables
from intertie.store.loading import decided_rows, transactions


def balances(connection: Connection) -> dict[int, int]:
    """Return what each account that was ever touched has, in micro-credits."""
    return {int(n): int(amount) for n, amount in connection.execute(select(tables.balance))}


def transactions_of(
    connection: Connection,
    accounts: Iterable[int] | None,
    after: int | None,
    limit: int,
    is_newest_first: bool = False,
) -> list[Transaction]:
    """Return transactions beyond a number, in the order asked, that touch these accounts."""
    table, entry = tables.transaction, tables.posting
    order = table.c.id.desc() if is_newest_first else table.c.id
    query = select(table).order_by(order).limit(limit)
    if after is not None:
        query = query.where(table.c.id < after if is_newest_first else table.c.id > after)
    if accounts is not None:
        own = sorted(accounts)
        touching = select(entry.c.transaction).where(
            or_(entry.c.source.in_(own), entry.c.destination.in_(own))
        )
        query = query.where(table.c.id.in_(touching))
    found = [dict(row) for row in connection.execute(query).mappings()]
    postings = postings_of(connection, [row["id"] for row in found])
    return [Transaction(postings=tuple(postings.get(row["id"], ())), **row) for row in found]


def postings_of(connection: Connection, numbers: Iterable[int]) -> dict[int, list[Posting]]:
    """Return the postings of these transactions, in order."""
    table = tables.posting
    query = (
        select(table.c.transaction, table.c.source, table.c.destination, table.c.amount_micro)
        .where(table.c.transaction.in_(sorted(numbers)))
        .order_by(table.c.transaction, table.c.index)
    )
    found: dict[int, list[Posting]] = {}
    for number, source, destination, amount in connection.execute(query):
        found.setdefault(number, []).append(Posting(source, destination, amount))
    return found


def postings_of_job(connection: Connection, job: int) -> list[Posting]:
    """Return every posting that was booked for the leases of a job."""
    lease, table, entry = tables.DECIDED["Lease"], tables.transaction, tables.posting
    query = (
        select(entry.c.source, entry.c.destination, entry.c.amount_micro)
        .join(table, table.c.id == entry.c.transaction)
        .join(lease, lease.c.id == table.c.lease)
        .where(lease.c.job == job)
        .order_by(entry.c.transaction, entry.c.index)
    )
    return [Posting(*row) for row in connection.execute(query)]


def jobs_of_leases(connection: Connection, leases: Iterable[int]) -> dict[int, int]:
    """Return the job of each lease."""
    table = tables.DECIDED["Lease"]
    query = select(table.c.id, table.c.job).where(table.c.id.in_(sorted(set(leases))))
    return {int(lease): int(job) for lease, job in connection.execute(query)}


def proof(connection: Connection) -> Proof:
    """Return the proof of the books from the first posting, read in one snapshot."""
    return prove(
        accounts=decided_rows(connection, Account),
        balances=balances(connection),
        transactions=transactions(connection),
        holds=decided_rows(connection, Hold),
        usage=decided_rows(connection, UsageRecord),
    )
