"""Metering, booking and the proof of the books; and how use is forgotten."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.cycle.shares import decayed
from intertie.ledger.booking import NETWORK_ACCOUNTS, charge, credit, hold, left_micro, release
from intertie.ledger.proving import prove
from intertie.metering.usage import is_disputed, meter, paid_ms
from intertie.model.lease import Hold
from intertie.model.ledger import Account, AccountKind, Posting, Transaction, TransactionKind
from intertie.model.meter import UsageRecord
from intertie.model.parties import Project
from intertie.model.policy import Policy
from intertie.model.states import Cause, HoldState, LeaseState
from intertie.model.units import charge_micro
from tests.builders import NOW, a_lease

POLICY = Policy()
WALLET, ESCROW, EARNINGS = 3, 4, 5
# One core for one second costs 1000 micro-credits.
LEASE = a_lease(agent_ms=130_000, network_ms=125_000)


def an_ended(**known: Any) -> Any:
    return a_lease(**({"state": LeaseState.ENDED, "cause": Cause.EXITED} | known))


@given(st.integers(0, 400_000), st.integers(0, 400_000))
def test_the_lower_of_both_meters_is_paid_at_most_to_the_end_and_its_grace(
    agent_ms: int, network_ms: int
) -> None:
    lease = a_lease(agent_ms=agent_ms, network_ms=network_ms, until=NOW + 300_000, grace_s=5)
    assert paid_ms(lease) == min(agent_ms, network_ms, 305_000)


@pytest.mark.parametrize("cause", [Cause.START_FAILED, Cause.DECLINED])
def test_a_start_that_failed_costs_nothing_whatever_the_meters_say(cause: Cause) -> None:
    failed = an_ended(cause=cause, agent_ms=9_000, network_ms=9_000)
    [record] = meter(failed, POLICY, 1)
    assert (record.amount_micro, record.paid_ms, record.is_final) == (0, 0, 1)
    assert not is_disputed(failed, POLICY)


def test_what_was_charged_before_is_not_given_back_by_a_late_decline() -> None:
    charged = an_ended(
        cause=Cause.DECLINED, agent_ms=130_000, network_ms=130_000, charged_ms=120_000,
        charged_micro=120_000, slice_index=2,
    )  # fmt: skip
    [record] = meter(charged, POLICY, 1)
    assert (record.amount_micro, record.paid_ms, record.is_final) == (0, 120_000, 1)


def test_a_shorter_grace_never_takes_back_what_was_charged() -> None:
    cut = an_ended(
        agent_ms=304_000, network_ms=304_000, until=NOW + 298_000, grace_s=1,
        charged_ms=300_000, charged_micro=300_000, slice_index=5,
    )  # fmt: skip
    assert [r.amount_micro for r in meter(cut, POLICY, 1)] == [0]


def test_a_running_lease_is_metered_by_whole_slices_and_an_ended_one_to_its_end() -> None:
    whole = meter(LEASE, POLICY, 7)
    assert [(r.id, r.slice_index, r.paid_ms, r.is_final) for r in whole] == [
        (7, 0, 60_000, 0),
        (8, 1, 120_000, 0),
    ]
    rest = replace(
        LEASE, state=LeaseState.ENDED, charged_ms=120_000, charged_micro=120_000, slice_index=2
    )
    [last] = meter(rest, POLICY, 9)
    assert (last.slice_index, last.paid_ms, last.amount_micro, last.is_final) == (
        2, 125_000, 5_000, 1,
    )  # fmt: skip


def test_nothing_is_due_before_the_first_slice_is_full() -> None:
    assert meter(a_lease(agent_ms=59_999, network_ms=59_999), POLICY, 1) == []


@given(
    st.lists(st.integers(0, 90_000), min_size=1, max_size=6),
    st.integers(1, 3_000),
    st.integers(0, 10**7),
)
def test_however_a_run_is_sliced_it_costs_what_its_whole_time_costs(
    steps_ms: list[int], units_milli: int, price: int
) -> None:
    lease = a_lease(units_milli=units_milli, price_micro_per_unit_h=price, until=NOW + 10**7)
    ran_ms, records = 0, []
    for step, more_ms in enumerate(steps_ms):
        ran_ms += more_ms
        is_last = step == len(steps_ms) - 1
        lease = replace(lease, agent_ms=ran_ms, network_ms=ran_ms + 5)
        lease = replace(lease, state=LeaseState.ENDED) if is_last else lease
        for record in meter(lease, POLICY, len(records) + 1):
            records.append(record)
            lease = replace(
                lease,
                charged_ms=record.paid_ms,
                charged_micro=lease.charged_micro + record.amount_micro,
                slice_index=record.slice_index + 1,
            )
    assert sum(r.amount_micro for r in records) == charge_micro(ran_ms, units_milli, price)
    assert [r.slice_index for r in records] == list(range(len(records)))
    assert [r.is_final for r in records] == [0] * (len(records) - 1) + [1]
    for record in records:
        assert record.amount_micro >= 0
        assert record.fee_micro == record.amount_micro * POLICY.fee_ppm // 1_000_000


def test_meters_differ_in_dispute_only_beyond_two_percent_or_two_syncs_and_a_second() -> None:
    def differing(agent_ms: int, network_ms: int) -> bool:
        return is_disputed(a_lease(agent_ms=agent_ms, network_ms=network_ms), POLICY)

    assert not differing(3_000, 0)
    assert differing(3_001, 0)
    assert differing(0, 3_001)
    assert not differing(1_000_000, 980_000)
    assert differing(1_000_000, 979_999)


@dataclass
class Books:
    """Right books of one lease: credit, hold, two charges, release."""

    accounts: list[Account] = field(
        default_factory=lambda: [
            *NETWORK_ACCOUNTS,
            Account(WALLET, AccountKind.WALLET, 1),
            Account(ESCROW, AccountKind.ESCROW, 1),
            Account(EARNINGS, AccountKind.EARNINGS, 2),
        ]
    )
    balances: dict[int, int] = field(default_factory=dict)
    transactions: list[Transaction] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    usage: list[UsageRecord] = field(default_factory=list)

    def book(self, transaction: Transaction | None) -> None:
        assert transaction is not None
        self.transactions.append(transaction)
        for posting in transaction.postings:
            for account, amount in (
                (posting.source, -posting.amount_micro),
                (posting.destination, posting.amount_micro),
            ):
                self.balances[account] = self.balances.get(account, 0) + amount

    def faults(self) -> str:
        parts = (self.accounts, self.balances, self.transactions, self.holds, self.usage)
        return "\n".join(prove(*parts).faults)


def right_books() -> Books:
    books = Books()
    books.book(credit(1, WALLET, 900_000, True, 1, NOW))
    empty = Hold(1, 1, 1, HoldState.OPEN, 0, 0, 0)
    held, booked = hold(2, empty, 400_000, WALLET, ESCROW, 0, 1, NOW)
    books.book(booked)
    ended = replace(LEASE, state=LeaseState.ENDED, agent_ms=70_000)
    books.usage = meter(ended, POLICY, 1)
    for number, record in enumerate(books.usage, start=3):
        held, paid = charge(number, held, record, ESCROW, EARNINGS, NOW)
        books.book(paid)
    held, rest = release(5, held, WALLET, ESCROW, 1, NOW)
    books.book(rest)
    books.holds = [held]
    return books


def test_right_books_are_proved_to_the_last_posting() -> None:
    books = right_books()
    parts = (books.accounts, books.balances, books.transactions, books.holds, books.usage)
    proof = prove(*parts)
    assert proof.faults == ()
    assert (proof.sum_micro, proof.open_holds, proof.transactions) == (0, 0, 5)
    assert books.balances == {1: -900_000, 3: 830_000, 4: 0, 5: 68_600, 2: 1_400}
    assert proof.recomputed_charges == 2


def _edit_balance(books: Books) -> None:
    books.balances[WALLET] += 1


def _charge_twice(books: Books) -> None:
    books.book(replace(books.transactions[2], id=9))


def _lose_a_charge(books: Books) -> None:
    del books.transactions[3]


def _lose_a_usage_record(books: Books) -> None:
    del books.usage[1]


def _book_a_negative_posting(books: Books) -> None:
    books.book(Transaction(9, TransactionKind.REFUND, NOW, (Posting(WALLET, EARNINGS, -5),)))


def _overdraw_the_wallet(books: Books) -> None:
    books.book(Transaction(9, TransactionKind.REFUND, NOW, (Posting(WALLET, FEES, 830_001),)))


def _dearer_than_its_price(books: Books) -> None:
    first = books.usage[0]
    books.usage[0] = replace(first, amount_micro=first.amount_micro + 1)


def _pay_more_than_the_lower_meter(books: Books) -> None:
    books.usage[1] = replace(books.usage[1], agent_ms=69_999)


def _close_a_hold_with_money_left(books: Books) -> None:
    books.holds = [replace(books.holds[0], released_micro=0)]


def _take_money_out_of_escrow(books: Books) -> None:
    books.holds = [replace(books.holds[0], state=HoldState.OPEN, released_micro=0)]


def _overdraw_a_hold(books: Books) -> None:
    books.holds = [replace(books.holds[0], posted_micro=500_000)]


FEES = 2
TAMPERED: list[tuple[Callable[[Books], None], str]] = [
    (_edit_balance, "account 3: 830000 posted, 830001 kept"),
    (_charge_twice, "booked twice"),
    (_charge_twice, "usage 1: charged 2 times"),
    (_lose_a_charge, "usage 2: charged 0 times"),
    (_lose_a_usage_record, "its usage record says otherwise"),
    (_book_a_negative_posting, "a posting of -5"),
    (_overdraw_the_wallet, "account 3 went to -1"),
    (_dearer_than_its_price, "60001 charged so far, 60000 recomputed"),
    (_pay_more_than_the_lower_meter, "pays more than the lower meter"),
    (_close_a_hold_with_money_left, "closed with"),
    (_take_money_out_of_escrow, "escrow holds"),
    (_overdraw_a_hold, "overdrawn"),
]


@pytest.mark.parametrize(("tamper", "fault"), TAMPERED, ids=lambda v: getattr(v, "__name__", ""))
def test_books_that_were_tampered_with_are_not_proved(
    tamper: Callable[[Books], None], fault: str
) -> None:
    books = right_books()
    tamper(books)
    assert fault in books.faults()


def test_a_charge_beyond_its_hold_is_our_mistake_and_is_not_booked() -> None:
    books = right_books()
    small = Hold(1, 1, 1, HoldState.OPEN, 59_999, 0, 0)
    with pytest.raises(AssertionError):
        charge(9, small, books.usage[0], ESCROW, EARNINGS, NOW)


def test_a_hold_grows_by_steps_and_its_rest_is_given_back_once() -> None:
    empty = Hold(7, 1, 1, HoldState.OPEN, 0, 0, 0)
    one, _ = hold(1, empty, 10, WALLET, ESCROW, 0, 1, NOW)
    two, second = hold(2, one, 5, WALLET, ESCROW, 9, 1, NOW)
    assert (left_micro(two), second.slice_index) == (15, 9)
    closed, rest = release(3, two, WALLET, ESCROW, 1, NOW)
    assert rest is not None
    assert rest.postings == (Posting(ESCROW, WALLET, 15),)
    assert (left_micro(closed), closed.state) == (0, HoldState.CLOSED)
    with pytest.raises(AssertionError, match="cannot become"):
        release(4, closed, WALLET, ESCROW, 1, NOW)


def test_a_hold_that_was_used_up_is_closed_without_a_transaction() -> None:
    used = Hold(7, 1, 1, HoldState.OPEN, 5, 5, 0)
    assert release(1, used, WALLET, ESCROW, 1, NOW)[1] is None


HALF_MS = POLICY.fair_share_half_life_s * 1000


def a_project(use: int, at: int = NOW) -> Project:
    return Project(1, 1, use, at, 0)


@given(st.integers(0, 10**15), st.integers(0, 5 * HALF_MS), st.integers(0, HALF_MS))
def test_use_is_only_ever_forgotten_never_remembered_again(
    use: int, first_ms: int, more_ms: int
) -> None:
    once = decayed(a_project(use), POLICY, NOW + first_ms)
    later = decayed(once, POLICY, NOW + first_ms + more_ms)
    assert 0 <= later.usage_micro_su <= once.usage_micro_su <= use
    assert isinstance(later.usage_micro_su, int)
    assert later.usage_at <= NOW + first_ms + more_ms


@given(st.integers(10**6, 10**15))
def test_use_halves_in_one_half_life_to_a_millionth(use: int) -> None:
    half = decayed(a_project(use), POLICY, NOW + HALF_MS).usage_micro_su
    assert abs(2 * half - use) <= 2 + use // 1_000_000


def test_an_earlier_instant_changes_nothing_and_neither_does_less_than_a_step() -> None:
    project = a_project(10**9)
    assert decayed(project, POLICY, NOW - 1) == project
    assert decayed(project, POLICY, NOW + 1) == project
