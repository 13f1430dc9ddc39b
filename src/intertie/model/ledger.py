"""Double entry: accounts, postings and transactions, in whole micro-credits."""

from dataclasses import dataclass
from enum import IntEnum


class AccountKind(IntEnum):
    """What an account is for. ISSUANCE alone may go below zero: it is where credit comes from."""

    ISSUANCE = 0
    WALLET = 1
    ESCROW = 2
    EARNINGS = 3
    FEES = 4


class TransactionKind(IntEnum):
    """Why money moved."""

    TOP_UP = 0
    TRIAL = 1
    HOLD = 2
    CHARGE = 3
    RELEASE = 4
    REVERSAL = 5
    REFUND = 6


@dataclass(frozen=True)
class Account:
    """A place that holds one owner's balance of the network's credit. Columnar."""

    id: int
    kind: int
    owner: int


@dataclass(frozen=True)
class Posting:
    """One amount moved from a source account to a destination account; never negative."""

    source: int
    destination: int
    amount_micro: int


@dataclass(frozen=True)
class Transaction:
    """Postings booked together or not at all, with what they can be recomputed from.

    (kind, lease, token, slice_index, reference) is unique: booking it again is refused.
    """

    id: int
    kind: int
    at: int
    postings: tuple[Posting, ...]
    lease: int = 0
    token: int = 0
    slice_index: int = 0
    usage: int = 0
    reference: int = 0
