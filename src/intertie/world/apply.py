"""The only way to change a World."""

from intertie.model.ledger import AccountKind
from intertie.world.changes import Changes
from intertie.world.world import DOCUMENTS, World

COUNTED = ("Task", "Node", "Offer", "Lease", "Account", "Transaction", "UsageRecord")


def apply(world: World, changes: Changes) -> None:
    """Write one step's changes into the World; balances move with the transactions.

    Asserts that no account but issuance goes below zero: a decision that overdraws is our mistake.
    """
    tables = world.tables()
    for (noun, _), row in changes.rows.items():
        tables[noun].put(row)
        _count(world, noun, row.id)
    world.documents.update(changes.documents)
    for transaction in changes.transactions:
        _count(world, "Transaction", transaction.id)
        for posting in transaction.postings:
            assert posting.amount_micro >= 0, transaction
            _move(world, posting.source, -posting.amount_micro)
            _move(world, posting.destination, posting.amount_micro)
    for record in changes.usage:
        _count(world, "UsageRecord", record.id)
    for noun, number in changes.retired:
        tables[noun].drop(number)
        for kind in DOCUMENTS.get(noun, ()):
            world.documents.pop((kind, number), None)


def _move(world: World, account: int, amount_micro: int) -> None:
    balance = world.balances.get(account, 0) + amount_micro
    kind = world.accounts.get(account).kind
    assert balance >= 0 or kind == AccountKind.ISSUANCE, f"account {account} would be {balance}"
    world.balances[account] = balance


def _count(world: World, noun: str, number: int) -> None:
    if noun in COUNTED:
        world.next[noun] = max(world.next.get(noun, 1), number + 1)
