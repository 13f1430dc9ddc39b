"""The transactions of the river: credit in, hold, charge, release."""

from intertie.model.lease import Hold
from intertie.model.ledger import Account, AccountKind, Posting, Transaction, TransactionKind
from intertie.model.meter import UsageRecord
from intertie.model.rows import changed
from intertie.model.states import HoldState, advance

ISSUANCE, FEES = 1, 2
NETWORK_ACCOUNTS = (Account(ISSUANCE, AccountKind.ISSUANCE, 0), Account(FEES, AccountKind.FEES, 0))


def credit(
    number: int, wallet: int, amount_micro: int, is_trial: bool, reference: int, at: int
) -> Transaction:
    """Return the transaction that puts new credit into a wallet.

    `reference` is who asked for it.
    """
    kind = TransactionKind.TRIAL if is_trial else TransactionKind.TOP_UP
    return Transaction(
        number, kind, at, (Posting(ISSUANCE, wallet, amount_micro),), reference=reference
    )


def hold(
    number: int,
    held: Hold,
    more_micro: int,
    wallet: int,
    escrow: int,
    step: int,
    token: int,
    at: int,
) -> tuple[Hold, Transaction]:
    """Return the hold with more set aside, and the transaction that does it.

    `step` is 0 for the first and grows with each renewal, so that none is booked twice.
    """
    transaction = Transaction(
        number,
        TransactionKind.HOLD,
        at,
        (Posting(wallet, escrow, more_micro),),
        lease=held.id,
        token=token,
        slice_index=step,
    )
    return changed(held, amount_micro=held.amount_micro + more_micro), transaction


def charge(
    number: int, held: Hold, usage: UsageRecord, escrow: int, earnings: int, at: int
) -> tuple[Hold, Transaction]:
    """Return the hold and the transaction that pays the provider and the network for one record.

    What the hold does not cover is not charged: a lease never outlives its hold, so that would be
    our mistake, and it is asserted.
    """
    assert usage.amount_micro <= left_micro(held), (held, usage)
    assert 0 <= usage.fee_micro <= usage.amount_micro, usage
    postings = (
        Posting(escrow, earnings, usage.amount_micro - usage.fee_micro),
        Posting(escrow, FEES, usage.fee_micro),
    )
    transaction = Transaction(
        number,
        TransactionKind.CHARGE,
        at,
        tuple(p for p in postings if p.amount_micro),
        lease=usage.lease,
        token=usage.token,
        slice_index=usage.slice_index,
        usage=usage.id,
        reference=usage.offer,
    )
    return changed(held, posted_micro=held.posted_micro + usage.amount_micro), transaction


def release(
    number: int, held: Hold, wallet: int, escrow: int, token: int, at: int
) -> tuple[Hold, Transaction | None]:
    """Return the closed hold and the transaction that gives the rest back.

    None if nothing is left.
    """
    rest_micro = left_micro(held)
    closed = changed(
        held,
        state=advance(HoldState(held.state), HoldState.CLOSED),
        released_micro=held.released_micro + rest_micro,
    )
    if not rest_micro:
        return closed, None
    posting = Posting(escrow, wallet, rest_micro)
    return closed, Transaction(
        number, TransactionKind.RELEASE, at, (posting,), lease=held.id, token=token
    )


def left_micro(held: Hold) -> int:
    """Return what is still set aside."""
    return held.amount_micro - held.posted_micro - held.released_micro
