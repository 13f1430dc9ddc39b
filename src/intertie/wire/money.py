"""The ledger as the network shows it."""

from pydantic import Field

from intertie.wire.base import Answer, Instant, Micro


class AccountView(Answer):
    """One account and its balance."""

    id: str
    kind: str
    owner: str
    balance_micro: Micro


class PostingView(Answer):
    """One amount from one account to another, with what both are and whose."""

    source: str
    destination: str
    amount_micro: Micro
    source_kind: str = ""
    source_owner: str = ""
    destination_kind: str = ""
    destination_owner: str = ""


class TransactionView(Answer):
    """Postings booked together, and what they were booked for."""

    id: str
    kind: str
    at: Instant
    postings: list[PostingView]
    job: str | None = None
    lease: str | None = None
    token: int = 0
    slice_index: int = 0


class LedgerCheck(Answer):
    """The proof of the books, recomputed from the first posting."""

    ok: bool
    transactions: int
    postings: int
    accounts: int
    sum_micro: Micro = Field(description="of all balances; 0 when the books are right")
    open_holds: int
    open_holds_micro: Micro
    recomputed_charges: int
    faults: list[str] = []
