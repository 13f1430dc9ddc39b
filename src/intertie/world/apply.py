"""The only way to change a World."""

from typing import Any

from intertie.model.ledger import AccountKind
from intertie.model.states import JobState
from intertie.world import derived
from intertie.world.changes import Changes
from intertie.world.world import DOCUMENTS, World

COUNTED = ("Task", "Node", "Offer", "Lease", "Account", "Transaction", "UsageRecord")


def apply(world: World, changes: Changes) -> None:
    """Write one step's changes into the World; balances move with the transactions.

    Asserts that no account but issuance goes below zero: a decision that overdraws is our mistake.
    """
    ready(world)
    if changes.blocks:
        _load(world, changes)
    for (noun, _), row in changes.rows.items():
        _put(world, noun, row)
    for (kind, number), document in changes.documents.items():
        world.documents[kind, number] = document
        if kind == "contract":
            derived.enter_kin(world, number)
        elif kind in derived.NAMING:
            derived.name(world, kind, number, document)
        elif kind == "pool":
            world.supply += 1
    for transaction in changes.transactions:
        _count(world, "Transaction", transaction.id)
        for posting in transaction.postings:
            assert posting.amount_micro >= 0, transaction
            _move(world, posting.source, -posting.amount_micro)
            _move(world, posting.destination, posting.amount_micro)
    if changes.usage:
        _count(world, "UsageRecord", max(record.id for record in changes.usage))
    for noun, number in changes.retired:
        _drop(world, noun, number)


def ready(world: World) -> None:
    """Count what is derived if the World was just loaded."""
    if not world.is_derived:
        derived.derive(world)


def _load(world: World, changes: Changes) -> None:
    """Write blocks of new rows, after the jobs that they may belong to."""
    for (noun, _), row in changes.rows.items():
        if noun == "Job":
            _put(world, noun, row)
    for noun, block in changes.blocks:
        world.tables()[noun].load(block)
        _count(world, noun, int(block[0].max()))
        if noun == "Task":
            derived.enter_tasks(world, block)


def _put(world: World, noun: str, row: Any) -> None:
    table = world.tables()[noun]
    is_new = row.id not in table.slots
    if noun == "Pool":
        derived.move_pool(world, row)
    elif noun == "Node":
        derived.move_node(world, row)
    elif noun == "Task":
        derived.move_task(world, row)
    elif noun == "Lease" and not is_new:
        derived.move_lease(world, row)
    table.put(row)
    if noun == "Lease" and is_new:
        derived.enter_lease(world, row)
    elif noun == "Job" and row.state >= JobState.ENDED:
        derived.leave_kin(world, row.id)
    elif noun == "Account":
        world.owned[row.kind, row.owner] = row.id
    elif noun == "Offer":
        derived.move_offer(world, row)
    if is_new:
        _count(world, noun, row.id)


def _drop(world: World, noun: str, number: int) -> None:
    if noun == "Task":
        derived.leave_task(world, number)
    elif noun == "Lease":
        derived.leave_lease(world, number)
    world.tables()[noun].drop(number)
    for kind in DOCUMENTS.get(noun, ()):
        world.documents.pop((kind, number), None)


def _move(world: World, account: int, amount_micro: int) -> None:
    balance = world.balances.get(account, 0) + amount_micro
    is_issuance = world.accounts.value(account, "kind") == AccountKind.ISSUANCE
    assert balance >= 0 or is_issuance, f"account {account} would be {balance}"
    world.balances[account] = balance


def _count(world: World, noun: str, number: int) -> None:
    if noun in COUNTED:
        world.next[noun] = max(world.next.get(noun, 1), number + 1)
