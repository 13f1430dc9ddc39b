"""The books: accounts, transactions and their proof."""

from fastapi import APIRouter
from sqlalchemy import Connection

from intertie.api.contract import problems
from intertie.api.door import TheDoor
from intertie.api.identity import OPERATOR, Anyone, Bearer
from intertie.api.pages import After, Limit, after_number, page
from intertie.model.ids import encode
from intertie.model.ledger import Account, AccountKind, Posting, Transaction, TransactionKind
from intertie.store import reading, reading_money
from intertie.wire.base import Page
from intertie.wire.money import AccountView, LedgerCheck, PostingView, TransactionView

router = APIRouter(prefix="/ledger", tags=["ledger"])


@router.get("/accounts", summary="List accounts", responses=problems(401, 403, 422))
def list_accounts(
    door: TheDoor, bearer: Anyone, limit: Limit = 100, after: After = None
) -> Page[AccountView]:
    """The bearer's own accounts with their balances; every account for an operator."""
    since = reading.column(Account, "id") > (after_number("account", after) or 0)
    with reading.snapshot(door.engine) as connection:
        found = reading.rows(connection, Account, since, *_own(bearer), limit=limit + 1)
        held = reading_money.balances(connection)
        names = reading.names(connection, "project") | reading.names(connection, "provider")
    views = [
        AccountView(
            id=encode("account", account.id),
            kind=AccountKind(account.kind).name.lower(),
            owner=names.get(account.owner, ""),
            balance_micro=held.get(account.id, 0),
        )
        for account in found[:limit]
    ]
    return page(found, limit, views, lambda account: encode("account", account.id))


@router.get("/transactions", summary="List transactions", responses=problems(401, 403, 422))
def list_transactions(
    door: TheDoor, bearer: Anyone, limit: Limit = 100, after: After = None, newest: bool = False
) -> Page[TransactionView]:
    """Transactions that touch the bearer's own accounts; all for an operator.

    Oldest first, or with `newest` the latest first.
    """
    since = after_number("transaction", after)
    with reading.snapshot(door.engine) as connection:
        own = None
        if bearer.role != OPERATOR:
            own = [account.id for account in reading.rows(connection, Account, *_own(bearer))]
        found = reading_money.transactions_of(connection, own, since, limit + 1, newest)
        views = _views(connection, found[:limit])
    return page(found, limit, views, lambda booked: encode("transaction", booked.id))


@router.get("/check", summary="Prove the books", responses=problems(401, 403))
def check_ledger(door: TheDoor, bearer: Anyone) -> LedgerCheck:
    """Everything recomputed from the first posting, read in one snapshot."""
    with reading.snapshot(door.engine) as connection:
        proof = reading_money.proof(connection)
    return LedgerCheck(
        ok=not proof.faults,
        transactions=proof.transactions,
        postings=proof.postings,
        accounts=proof.accounts,
        sum_micro=proof.sum_micro,
        open_holds=proof.open_holds,
        open_holds_micro=proof.open_holds_micro,
        recomputed_charges=proof.recomputed_charges,
        faults=list(proof.faults),
    )


def _own(bearer: Bearer) -> list[reading.Condition]:
    if bearer.role == OPERATOR:
        return []
    return [reading.column(Account, "owner") == bearer.subject]


def _views(connection: Connection, booked: list[Transaction]) -> list[TransactionView]:
    jobs = reading_money.jobs_of_leases(connection, (each.lease for each in booked if each.lease))
    names = reading.names(connection, "project") | reading.names(connection, "provider")
    touched = {a for each in booked for p in each.postings for a in (p.source, p.destination)}
    accounts = reading.by_id(connection, Account, touched)
    return [
        TransactionView(
            id=encode("transaction", each.id),
            kind=TransactionKind(each.kind).name.lower(),
            at=each.at,
            postings=[_posting(posting, accounts, names) for posting in each.postings],
            job=encode("job", jobs[each.lease]) if each.lease in jobs else None,
            lease=encode("lease", each.lease) if each.lease else None,
            token=each.token,
            slice_index=each.slice_index,
        )
        for each in booked
    ]


def _posting(posting: Posting, accounts: dict[int, Account], names: dict[int, str]) -> PostingView:
    source, destination = accounts[posting.source], accounts[posting.destination]
    return PostingView(
        source=encode("account", source.id),
        destination=encode("account", destination.id),
        amount_micro=posting.amount_micro,
        source_kind=AccountKind(source.kind).name.lower(),
        source_owner=names.get(source.owner, ""),
        destination_kind=AccountKind(destination.kind).name.lower(),
        destination_owner=names.get(destination.owner, ""),
    )
