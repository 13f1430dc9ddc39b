"""Prove the books from the first posting: nothing is taken from a stored balance."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from intertie.ledger.booking import left_micro
from intertie.model.lease import Hold
from intertie.model.ledger import Account, AccountKind, Transaction, TransactionKind
from intertie.model.meter import UsageRecord
from intertie.model.states import HoldState
from intertie.model.units import charge_micro


@dataclass(frozen=True)
class Proof:
    """What the proof found. The books are right when there are no faults."""

    transactions: int
    postings: int
    accounts: int
    sum_micro: int
    open_holds: int
    open_holds_micro: int
    recomputed_charges: int
    faults: tuple[str, ...]


def prove(
    accounts: Iterable[Account],
    balances: Mapping[int, int],
    transactions: Iterable[Transaction],
    holds: Iterable[Hold],
    usage: Iterable[UsageRecord],
) -> Proof:
    """Replay every posting and compare with balances, holds and usage; say each difference."""
    kinds = {account.id: AccountKind(account.kind) for account in accounts}
    booked = list(transactions)
    held = list(holds)
    records = {record.id: record for record in usage}
    faults: list[str] = []
    found = _replay(booked, kinds, faults)
    for number in sorted(kinds):
        if found[number] != balances.get(number, 0):
            faults.append(
                f"account {number}: {found[number]} posted, {balances.get(number, 0)} kept"
            )
    _check_holds(held, found, kinds, faults)
    _check_charges(booked, records, faults)
    open_holds = [h for h in held if h.state == HoldState.OPEN]
    return Proof(
        transactions=len(booked),
        postings=sum(len(t.postings) for t in booked),
        accounts=len(kinds),
        sum_micro=sum(found.values()),
        open_holds=len(open_holds),
        open_holds_micro=sum(left_micro(h) for h in open_holds),
        recomputed_charges=len(records),
        faults=tuple(faults),
    )


def _replay(
    booked: list[Transaction], kinds: Mapping[int, AccountKind], faults: list[str]
) -> dict[int, int]:
    found: dict[int, int] = defaultdict(int)
    seen: set[tuple[int, ...]] = set()
    for t in sorted(booked, key=lambda each: each.id):
        key = (t.kind, t.lease, t.token, t.slice_index, 0 if t.lease else t.reference)
        if key in seen:
            faults.append(f"transaction {t.id}: booked twice")
        seen.add(key)
        for posting in t.postings:
            if posting.amount_micro <= 0:
                faults.append(f"transaction {t.id}: a posting of {posting.amount_micro}")
            found[posting.source] -= posting.amount_micro
            found[posting.destination] += posting.amount_micro
        for account in {p.source for p in t.postings}:
            if found[account] < 0 and kinds.get(account) != AccountKind.ISSUANCE:
                faults.append(f"transaction {t.id}: account {account} went to {found[account]}")
    return found


def _check_holds(
    holds: list[Hold], found: Mapping[int, int], kinds: Mapping[int, AccountKind], faults: list[str]
) -> None:
    escrow = sum(found[a] for a, kind in kinds.items() if kind == AccountKind.ESCROW)
    kept = sum(left_micro(h) for h in holds if h.state == HoldState.OPEN)
    if escrow != kept:
        faults.append(f"escrow holds {escrow}, open holds say {kept}")
    for h in holds:
        if h.state == HoldState.CLOSED and left_micro(h) != 0:
            faults.append(f"hold {h.id}: closed with {left_micro(h)} left")
        if left_micro(h) < 0:
            faults.append(f"hold {h.id}: overdrawn by {-left_micro(h)}")


def _check_charges(
    booked: list[Transaction], records: Mapping[int, UsageRecord], faults: list[str]
) -> None:
    charges = [t for t in booked if t.kind == TransactionKind.CHARGE]
    counted = Counter(t.usage for t in charges)
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for t in charges:
        record = records.get(t.usage)
        amount = sum(p.amount_micro for p in t.postings)
        if record is None or amount != record.amount_micro:
            faults.append(f"transaction {t.id}: charges {amount}, its usage record says otherwise")
    for record in sorted(records.values(), key=lambda r: (r.lease, r.token, r.slice_index)):
        if counted[record.id] != (1 if record.amount_micro else 0):
            faults.append(f"usage {record.id}: charged {counted[record.id]} times")
        # What was paid before the site said its first word stays; nothing is paid beyond it after.
        is_over_site = record.amount_micro and 0 < record.site_ms < record.paid_ms
        if record.paid_ms > min(record.agent_ms, record.network_ms) or is_over_site:
            faults.append(f"usage {record.id}: pays more than the lower meter")
        key = record.lease, record.token
        sums[key] += record.amount_micro
        owed = charge_micro(record.paid_ms, record.units_milli, record.price_micro_per_unit_h)
        if sums[key] != owed:
            faults.append(f"usage {record.id}: {sums[key]} charged so far, {owed} recomputed")
