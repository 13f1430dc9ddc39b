"""The books from outside, in SQL and plain sums: after each crash by what is new, at the end whole.

Nothing here calls the code that is under test but for `prove`, which is asked last.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from intertie.ledger.proving import prove
from intertie.model.lease import Hold
from intertie.model.ledger import Account
from intertie.model.meter import UsageRecord
from intertie.store.loading import decided_rows, transactions

KINDS = ("top_up", "trial", "hold", "charge", "release", "reversal", "refund")

HOLD = 2


class Checker:
    """Follows the books of one run. `faults` are sentences; none is what is wanted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sums: Counter[int] = Counter()
        self._last = 0
        self.faults: list[str] = []

    def count(self) -> int:
        """Return how many operations there are, and look at nothing else."""
        with self._engine.connect().execution_options(is_read=True) as connection:
            return _one(connection, "SELECT coalesce(max(id), 0) FROM ledger_transaction")

    def follow(self) -> int:
        """Check balances against all postings, reading only the new ones; return how many ops."""
        with self._engine.connect().execution_options(is_read=True) as connection:
            new = text(
                """SELECT "transaction", source, destination, amount_micro
                FROM posting WHERE "transaction" > :last"""
            )
            last = self._last
            for row in connection.execute(new, {"last": self._last}):
                number, source, destination, amount = row
                last = max(last, number)
                self._sums[source] -= amount
                self._sums[destination] += amount
            self._last = last
            kept = _pairs(connection, "SELECT account, amount_micro FROM balance")
            aside = connection.execute(text("SELECT count(*) FROM inbox WHERE taken_round = 0"))
            if aside.scalar():
                self.faults.append("a row was laid aside")
            holds = _one(
                connection,
                "SELECT coalesce(sum(amount_micro - posted_micro - released_micro), 0) FROM hold",
            )
            escrow = _one(
                connection,
                """SELECT coalesce(sum(b.amount_micro), 0) FROM balance b
                JOIN account a ON a.id = b.account WHERE a.kind = 2""",
            )
        if kept != {account: self._sums[account] for account in kept}:
            self.faults.append(f"balances {kept} are not the sums of postings {self._sums}")
        if sum(kept.values()):
            self.faults.append(f"balances sum to {sum(kept.values())}")
        if holds != escrow:
            self.faults.append(f"escrow has {escrow}, holds say {holds}")
        return self._last

    def whole(self) -> None:
        """Check everything that was ever booked, once all has settled."""
        with self._engine.connect().execution_options(is_read=True) as connection:
            amounts = _amounts(connection)
            self._charges(connection, amounts)
            self._holds(connection, amounts)
            self._credit(connection)
            self._settled(connection)

    def _charges(self, connection: Connection, amounts: dict[int, int]) -> None:
        """Each slice was charged once, as its usage says, and a lease paid the sum of them."""
        owed: dict[int, int] = {}
        paid: Counter[int] = Counter()
        for number, lease, amount in connection.execute(
            text("SELECT id, lease, amount_micro FROM usage_record")
        ):
            owed[number] = amount
            paid[lease] += amount
        charged: Counter[int] = Counter()
        slices: set[tuple[int, int, int]] = set()
        query = "SELECT id, usage, lease, token, slice_index FROM ledger_transaction WHERE kind = 3"
        for number, usage, *once in connection.execute(text(query)):
            charged[usage] += 1
            self._expect(tuple(once) not in slices, "slice was charged twice", once)
            slices.add(tuple(once))
            self._expect(amounts[number] == owed.get(usage), "charge is not its usage", number)
        wrong = {n for n, amount in owed.items() if charged[n] != int(amount > 0)}
        self._expect(not wrong, "usage was not charged once", sorted(wrong)[:5])
        for lease, amount in connection.execute(text("SELECT id, charged_micro FROM lease")):
            self._expect(paid[lease] == amount, "lease paid what its usage does not say", lease)

    def _holds(self, connection: Connection, amounts: dict[int, int]) -> None:
        """Each lease has its hold, booked in full and paid out in full."""
        booked: Counter[int] = Counter()
        given: Counter[int] = Counter()
        query = "SELECT id, kind, lease FROM ledger_transaction WHERE kind IN (2, 3, 4)"
        for number, kind, lease in connection.execute(text(query)):
            (booked if kind == HOLD else given)[lease] += amounts[number]
        leases = set(connection.execute(text("SELECT id FROM lease")).scalars())
        holds = connection.execute(text("SELECT id, state, amount_micro FROM hold")).all()
        self._expect({number for number, *_ in holds} == leases, "leases and holds differ", "")
        for number, state, amount in holds:
            self._expect(state == 1, "hold is open", number)
            self._expect(booked[number] == amount, "hold was not booked in full", number)
            self._expect(given[number] == amount, "hold was not paid out once", number)

    def _credit(self, connection: Connection) -> None:
        """Credit was booked once for each row that asked for it."""
        query = text("SELECT reference FROM ledger_transaction WHERE kind = 0")
        booked = Counter(connection.execute(query).scalars())
        asked = set(
            connection.execute(text("SELECT id FROM inbox WHERE kind = 'top_up'")).scalars()
        )
        self._expect(set(booked) == asked, "credit is not what was asked for", "")
        self._expect(max(booked.values(), default=1) == 1, "credit was booked twice", "")

    def _settled(self, connection: Connection) -> None:
        waiting = _one(connection, "SELECT count(*) FROM inbox WHERE taken_round IS NULL")
        self._expect(not waiting, "rows were not taken", waiting)
        jobs = _one(connection, "SELECT count(*) FROM job WHERE state <> 4")
        self._expect(not jobs, "jobs did not settle", jobs)
        # A machine so busy that leases run out before anybody reports may fail a task.
        done = set(connection.execute(text("SELECT id FROM task WHERE outcome = 1")).scalars())
        results = connection.execute(text("SELECT task FROM lease WHERE is_result = 1")).scalars()
        self._expect(Counter(results) == Counter(done), "done tasks have not one result each", "")

    def _expect(self, is_right: bool, what: str, which: Any) -> None:
        if not is_right and len(self.faults) < 50:
            self.faults.append(f"{what}: {which}")

    def proof(self) -> None:
        """Ask the house's own proof, which replays every posting."""
        with self._engine.connect().execution_options(is_read=True) as connection:
            proof = prove(
                decided_rows(connection, Account),
                _pairs(connection, "SELECT account, amount_micro FROM balance"),
                transactions(connection),
                decided_rows(connection, Hold),
                decided_rows(connection, UsageRecord),
            )
        self.faults += [f"proof: {fault}" for fault in proof.faults[:5]]
        if proof.sum_micro:
            self.faults.append(f"proof: the sum is {proof.sum_micro}")

    def appended(self, journals: list[Path]) -> int:
        """Check that what tellers heard is there once, under the number that they heard."""
        with self._engine.connect().execution_options(is_read=True) as connection:
            query = "SELECT idempotency_key, id FROM inbox WHERE kind IN ('top_up', 'job')"
            numbers = _pairs(connection, query)
        told = 0
        for journal in journals:
            for each in journal.read_text().split():
                key, _, number = each.partition("=")
                told += 1
                if str(numbers.get(key)) != number:
                    self.faults.append(f"{key} was {number}, is {numbers.get(key)}")
        return told

    def counts(self) -> Counter[str]:
        """Return how much was booked, by kind."""
        found: Counter[str] = Counter()
        with self._engine.connect().execution_options(is_read=True) as connection:
            kinds = connection.execute(
                text("SELECT kind, count(*) FROM ledger_transaction GROUP BY kind")
            )
            found.update({f"transactions: {KINDS[kind]}": n for kind, n in kinds})
            for table in ("posting", "usage_record", "round", "inbox", "job", "task", "lease"):
                found[table] = _one(connection, f'SELECT count(*) FROM "{table}"')
        return found


def is_settled(engine: Engine) -> bool:
    """Return whether every row is taken and every job has settled."""
    with engine.connect().execution_options(is_read=True) as connection:
        waiting = _one(connection, "SELECT count(*) FROM inbox WHERE taken_round IS NULL")
        return not waiting and not _one(connection, "SELECT count(*) FROM job WHERE state <> 4")


def _amounts(connection: Connection) -> dict[int, int]:
    """Return the sum of each transaction's postings."""
    query = 'SELECT "transaction", sum(amount_micro) FROM posting GROUP BY "transaction"'
    return _pairs(connection, query)


def _pairs(connection: Connection, query: str) -> dict[Any, int]:
    return {row[0]: int(row[1]) for row in connection.execute(text(query))}


def _one(connection: Connection, query: str) -> int:
    found: Any = connection.execute(text(query)).scalar()
    return int(found)
