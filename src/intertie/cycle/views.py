"""Small reads of a World that several steps share."""

from intertie.model.job import Contract
from intertie.model.ledger import AccountKind
from intertie.model.offer import Offer
from intertie.model.parties import Pool, PoolFacts
from intertie.model.request import Request
from intertie.model.sizing import History
from intertie.model.states import OfferState
from intertie.run.reconciling import ALIVE
from intertie.world.world import World


def name_of(world: World, kind: str, number: int) -> str:
    """Return what people call a project or a provider."""
    return str(world.documents[kind, number].name)


def place_of(world: World, pool: Pool) -> str:
    """Return a pool as people call it: ``provider/pool``."""
    provider = name_of(world, "provider", pool.provider)
    return f"{provider}/{world.documents['agent', pool.id].pool}"


def facts_of(world: World, pool: int) -> PoolFacts | None:
    """Return what the pool's agent said of it; None before its first session."""
    found: PoolFacts | None = world.documents.get(("pool", pool))
    return found


def request_of(world: World, job: int) -> Request:
    """Return the request of a job."""
    found: Request = world.documents["request", job]
    return found


def contract_of(world: World, job: int) -> Contract:
    """Return how a job was sized and which prices it was promised."""
    found: Contract = world.documents["contract", job]
    return found


def history_of(world: World, project: int) -> History:
    """Return the run times that a project's jobs had."""
    found: History = world.documents.get(("history", project), History())
    return found


def account_of(world: World, kind: AccountKind, owner: int) -> int:
    """Return the number of an owner's account of one kind."""
    numbers = world.accounts.numbers_where(kind=kind, owner=owner)
    assert len(numbers) == 1, (kind, owner, numbers)
    return numbers[0]


def wallet_micro(world: World, project: int) -> int:
    """Return what a project can still spend."""
    return world.balances.get(account_of(world, AccountKind.WALLET, project), 0)


def listed_offer(world: World, pool: int) -> Offer | None:
    """Return the pool's offer that takes new orders."""
    found = world.offers.where(pool=pool, state=OfferState.LISTED)
    return found[-1] if found else None


def price_for(world: World, job: int, pool: int) -> Offer | None:
    """Return the offer version at which a job may run on a pool.

    The promised one, else the listed.
    """
    for locked in contract_of(world, job).prices:
        if locked.pool == pool:
            return world.offers.get(locked.offer)
    return listed_offer(world, pool)


def free_nodes(world: World, pool: Pool) -> list[tuple[int, list[int]]]:
    """Return (node id, free [cpus_milli, memory_bytes, disk_bytes, devices]) of a pool's nodes."""
    found = []
    for node in world.nodes.where(pool=pool.id):
        held = [lease for lease in world.leases.where(node=node.id) if lease.state in ALIVE]
        free = [
            node.cpus_milli - sum(lease.cpus_milli for lease in held),
            node.memory_bytes - sum(lease.memory_bytes for lease in held),
            node.disk_bytes - sum(lease.disk_bytes for lease in held),
            node.device_count - sum(lease.device_count for lease in held),
        ]
        found.append((node.id, free))
    return found


def free_of(world: World, pool: Pool) -> tuple[int, int]:
    """Return (cpus_milli, memory_bytes) that the pool lends and no lease holds.

    Never below zero.
    """
    held = [lease for lease in world.leases.where(pool=pool.id) if lease.state in ALIVE]
    cpus = pool.lent_cpus_milli - sum(lease.cpus_milli for lease in held)
    memory = pool.lent_memory_bytes - sum(lease.memory_bytes for lease in held)
    return max(0, cpus), max(0, memory)
