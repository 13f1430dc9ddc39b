"""Rows of projects, providers and pools as the contract shows them."""

from collections import Counter

from sqlalchemy import Connection

from intertie.api.identity import PROVIDER, Bearer
from intertie.model.ids import encode
from intertie.model.job import Job
from intertie.model.lease import Lease
from intertie.model.ledger import Account, AccountKind
from intertie.model.meter import UsageRecord
from intertie.model.offer import Offer
from intertie.model.parties import Node, Pool, PoolFacts, Project, Provider
from intertie.model.states import OfferState, PoolState
from intertie.model.units import MICRO, MILLI, price_micro_per_su
from intertie.run.reconciling import ALIVE
from intertie.store import reading
from intertie.store.reading_money import balances
from intertie.wire.market import OfferView
from intertie.wire.parties import PoolView, ProjectView, ProviderView

# cpus_milli, memory_bytes and device_count of the leases alive, after their number.
Held = dict[tuple[int, ...], tuple[int, ...]]
_NOTHING = (0, 0, 0, 0)


def project_views(connection: Connection, projects: list[Project]) -> list[ProjectView]:
    """Return projects with wallet, money set aside, and all they ever spent and used."""
    column = reading.column
    numbers = [project.id for project in projects]
    names = reading.documents(connection, "project", numbers)
    money = _by_owner(connection, numbers)
    spent = reading.sums(
        connection, Job, ("project",), ("spent_micro",), column(Job, "project").in_(numbers)
    )
    used = reading.sums(
        connection,
        UsageRecord,
        ("project",),
        ("service_units_micro",),
        column(UsageRecord, "project").in_(numbers),
    )
    return [
        ProjectView(
            id=encode("project", project.id),
            name=names[project.id].name,
            weight=project.weight,
            is_blocked=bool(project.is_blocked),
            wallet_micro=money.get((project.id, AccountKind.WALLET), 0),
            held_micro=money.get((project.id, AccountKind.ESCROW), 0),
            spent_micro=spent.get((project.id,), (0, 0))[1],
            used_su=used.get((project.id,), (0, 0))[1] / MICRO,
        )
        for project in projects
    ]


def provider_views(
    connection: Connection, providers: list[Provider], bearer: Bearer
) -> list[ProviderView]:
    """Return providers with their pools; earnings only for whom they concern."""
    numbers = [provider.id for provider in providers]
    names = reading.documents(connection, "provider", numbers)
    money = _by_owner(connection, numbers)
    pools = reading.rows(connection, Pool, reading.column(Pool, "provider").in_(numbers))
    views = pool_views(connection, pools)
    return [
        ProviderView(
            id=encode("provider", provider.id),
            name=names[provider.id].name,
            is_blocked=bool(provider.is_blocked),
            earned_micro=money.get((provider.id, AccountKind.EARNINGS), 0)
            if bearer.may_see(PROVIDER, provider.id)
            else None,
            pools=[views[pool.id] for pool in pools if pool.provider == provider.id],
        )
        for provider in providers
    ]


def pool_views(connection: Connection, pools: list[Pool]) -> dict[int, PoolView]:
    """Return pools as their agents describe them, with what is lent and used now."""
    numbers = [pool.id for pool in pools]
    keys = reading.documents(connection, "agent", numbers)
    facts = reading.documents(connection, "pool", numbers)
    held, waits_s = held_of(connection, numbers), _waits_s(connection, numbers)
    return {
        pool.id: _pool(
            pool,
            keys[pool.id].pool,
            facts.get(pool.id),
            held.get((pool.id,), _NOTHING),
            waits_s.get(pool.id, 0),
        )
        for pool in pools
    }


def offer_views(connection: Connection) -> list[OfferView]:
    """Return what every pool offers now, in order of offer."""
    listed = reading.column(Offer, "state") == int(OfferState.LISTED)
    offers = reading.rows(connection, Offer, listed)
    pools = reading.by_id(connection, Pool, (offer.pool for offer in offers))
    facts = reading.documents(connection, "pool", pools)
    names = reading.pool_names(connection)
    held = held_of(connection, list(pools))
    waits_s = _waits_s(connection, list(pools))
    return [
        _offer(
            offer,
            pools[offer.pool],
            facts[offer.pool],
            names[offer.pool],
            held.get((offer.pool,), _NOTHING),
            waits_s.get(offer.pool, 0),
        )
        for offer in offers
    ]


def held_of(connection: Connection, pools: list[int]) -> Held:
    """Return (leases, cpus_milli, memory_bytes, device_count) that leases alive hold, by pool."""
    column = reading.column
    return reading.sums(
        connection,
        Lease,
        ("pool",),
        ("cpus_milli", "memory_bytes", "device_count"),
        column(Lease, "pool").in_(pools),
        column(Lease, "state").in_(sorted(ALIVE)),
    )


def _by_owner(connection: Connection, owners: list[int]) -> dict[tuple[int, int], int]:
    held = balances(connection)
    accounts = reading.rows(connection, Account, reading.column(Account, "owner").in_(owners))
    return {(each.owner, each.kind): held.get(each.id, 0) for each in accounts}


def _waits_s(connection: Connection, pools: list[int]) -> dict[int, int]:
    """Return how long a task waits at each pool's site, at its least waiting node."""
    column = reading.column
    live = column(Node, "pool").in_(pools) & (column(Node, "is_retired") == 0)
    found: dict[int, int] = {}
    for node in reading.rows(connection, Node, live):
        found[node.pool] = min(node.wait_s, found.get(node.pool, node.wait_s))
    return found


def _devices(facts: PoolFacts) -> dict[str, int]:
    found: Counter[str] = Counter()
    for node in facts.nodes:
        if node.device_count:
            found[node.device_class] += node.device_count
    return dict(sorted(found.items()))


def _pool(
    pool: Pool, name: str, facts: PoolFacts | None, held: tuple[int, ...], wait_s: int
) -> PoolView:
    leases, cpus_milli, _, used_devices = held
    score = facts.scores[0] if facts and facts.scores else None
    return PoolView(
        id=encode("pool", pool.id),
        name=name,
        state=PoolState(pool.state).name.lower(),
        engine=facts.engine if facts else "",
        region=facts.region if facts else "",
        seen_at=pool.seen_at or None,
        cpus=sum(node.cpus_milli for node in facts.nodes) / MILLI if facts else 0,
        lent_cpus=pool.lent_cpus_milli / MILLI,
        used_cpus=cpus_milli / MILLI,
        memory_bytes=sum(node.memory_bytes for node in facts.nodes) if facts else 0,
        devices=_devices(facts) if facts else {},
        lent_devices=pool.lent_device_count,
        used_devices=used_devices,
        expected_wait_s=wait_s,
        leases=leases,
        abilities=list(facts.abilities) if facts else [],
        not_enforced=list(facts.not_enforced) if facts else [],
        software={stack.name: stack.version for stack in facts.software} if facts else {},
        score=score.millionths / MICRO if score else None,
        score_source=score.source if score else "",
    )


def _offer(
    offer: Offer,
    pool: Pool,
    facts: PoolFacts,
    names: tuple[str, str],
    held: tuple[int, ...],
    wait_s: int,
) -> OfferView:
    _, cpus_milli, memory_bytes, used_devices = held
    score = facts.scores[0] if facts.scores else None
    devices = _devices(facts)
    total, used = pool.lent_cpus_milli / MILLI, cpus_milli / MILLI
    if devices:
        total, used = pool.lent_device_count, used_devices
    price = offer.price_micro_per_unit_h
    has_score = offer.score_millionths > 0
    return OfferView(
        id=encode("offer", offer.id),
        version=offer.version,
        state="listed",
        provider=names[0],
        pool=names[1],
        pool_state=PoolState(pool.state).name.lower(),
        engine=facts.engine,
        region=facts.region,
        device_class=", ".join(devices),
        devices=devices,
        price_micro_per_unit_h=price,
        price_micro_per_su=price_micro_per_su(price, offer.score_millionths) if has_score else None,
        profile=score.profile if score else "cpu@1",
        score=offer.score_millionths / MICRO if has_score else None,
        score_source=score.source if score else "",
        units_total=total,
        units_free=max(0, total - used),
        memory_free_bytes=max(0, pool.lent_memory_bytes - memory_bytes),
        expected_wait_s=wait_s,
        latency_ms=facts.latency_ms,
        latency_source=facts.latency_source,
        grace_s=offer.grace_s,
        software={stack.name: stack.version for stack in facts.software},
        abilities=list(facts.abilities),
        not_enforced=list(facts.not_enforced),
    )
