"""Which pools can take a request, at what price and how soon; and why the others cannot."""

import numpy as np

from intertie.cycle.rooms import rooms_of
from intertie.cycle.running import ends_s, holding
from intertie.cycle.views import facts_of, listed_offer, name_of, place_of
from intertie.market.dominant import units_milli
from intertie.market.quoting import Candidate, task_seconds
from intertie.model.offer import Offer
from intertie.model.parties import Pool, PoolFacts
from intertie.model.policy import Policy
from intertie.model.quote import LostOffer
from intertie.model.refusal import Refusal, Relaxation, Value
from intertie.model.request import Request
from intertie.model.sizing import Sizing
from intertie.model.states import PoolState
from intertie.model.units import MILLI, ceil_div
from intertie.placement.constraints import holds, refuse
from intertie.placement.moving import moving_ms
from intertie.world.world import World

_SLOTS_MAX = 4096


def candidates(
    world: World, request: Request, sizing: Sizing, project: int, policy: Policy, now: int
) -> tuple[list[Candidate], list[LostOffer]]:
    """Return the pools that can take the request, and every other pool with its reason.

    A task begins when its data are there too.
    """
    found: list[Candidate] = []
    lost: list[LostOffer] = []
    for pool in world.pools.rows():
        offer = listed_offer(world, pool.id)
        facts = facts_of(world, pool.id)
        refusal = refusal_of(world, request, pool, project)
        if refusal is not None:
            lost.append(LostOffer(pool.id, refusal))
            continue
        assert facts is not None and offer is not None
        moves_s = moving_s(world, request, pool.id, policy)
        slots_s = tuple(at_s + moves_s for at_s in _slots(world, request, sizing, pool, now))
        if request.is_gang and len(slots_s) < request.task_count:
            lost.append(LostOffer(pool.id, _too_large(request, len(slots_s))))
            continue
        found.append(
            Candidate(
                pool=pool.id,
                name=place_of(world, pool),
                offer=offer.id,
                price_micro_per_unit_h=offer.price_micro_per_unit_h,
                price_version=offer.version,
                score_millionths=offer.score_millionths,
                units_milli=billed_milli(request, facts),
                slots_s=slots_s,
                wait_s=moves_s + rooms_of(world, pool, request.resources).wait_s,
            )
        )
    return found, lost


def moving_s(world: World, request: Request, pool: int, policy: Policy) -> int:
    """Return for how long a request's data travel to a pool, in whole seconds."""
    there = facts_of(world, pool)
    if there is None or not (policy.links and request.data):
        return 0
    facts = (facts_of(world, number) for number in world.pools.slots)
    holders = [each for each in facts if each is not None]
    return ceil_div(moving_ms(request, there, holders, policy.links), MILLI)


def refusal_of(world: World, request: Request, pool: Pool, project: int) -> Refusal | None:
    """Return why a pool cannot run the request, whatever it has free at this instant; or None."""
    facts = facts_of(world, pool.id)
    provider, where = name_of(world, "provider", pool.provider), place_of(world, pool)
    offer, back = listed_offer(world, pool.id), Relaxation("wait_for_pool", {"pool": where})
    if facts is None or offer is None or pool.state in (PoolState.JOINING, PoolState.LEFT):
        return Refusal("pool_offline", {"pool": where}, back)
    refusal = refuse(request, facts, provider, name_of(world, "project", project))
    if refusal is not None:
        return refusal
    return _standing(pool, offer, where, request, facts)


def _too_large(request: Request, slots: int) -> Refusal:
    values: dict[str, Value] = {"needs": request.task_count, "has": slots}
    return Refusal("gang_too_large", values, Relaxation("smaller_gang", {"to": slots}))


def billed_milli(request: Request, facts: PoolFacts) -> int:
    """Return thousandths of a unit that one task is billed for on a pool; a node must hold it.

    The least of what its nodes would bill, wherever it is placed: the price of a promise cannot
    depend on which node happens to be free.
    """
    nodes = [node for node in facts.nodes if holds(request, node)]
    return min(units_milli(request.resources, node, facts.nodes) for node in nodes)


def frees_in_s(world: World, pool: Pool, now: int) -> list[int]:
    """Return in how many seconds each lease of a pool should end, soonest first."""
    kept = world.memo.get("ends")
    if kept is None or kept[0] != world.room:
        kept = world.memo["ends"] = (world.room, {})
    ends: dict[int, list[int]] = kept[1]
    if pool.id not in ends:
        leases = world.leases
        here = np.array([leases.slots[n] for n in leases.numbers_where(pool=pool.id)], np.int64)
        ends[pool.id] = np.sort(ends_s(world, holding(world, here))).tolist()
    return [max(1, end_s - now // MILLI) for end_s in ends[pool.id]]


def _standing(
    pool: Pool, offer: Offer, where: str, request: Request, facts: PoolFacts
) -> Refusal | None:
    back = Relaxation("wait_for_pool", {"pool": where})
    if not offer.score_millionths:
        return Refusal("not_measured", {"pool": where, "profile": request.profile}, back)
    if pool.state == PoolState.LOST:
        return Refusal("pool_offline", {"pool": where}, back)
    if pool.is_draining:
        return Refusal("pool_draining", {"pool": where}, back)
    return _unlent(pool, where, request, facts)


def _unlent(pool: Pool, where: str, request: Request, facts: PoolFacts) -> Refusal | None:
    """Return why what the owner lends is too little for one task: for now, or ever."""
    need, terms = request.resources, facts.terms
    if (
        need.cpus_milli <= pool.lent_cpus_milli
        and need.memory_bytes <= pool.lent_memory_bytes
        and need.device_count <= pool.lent_device_count
    ):
        return None
    if need.cpus_milli > terms.lent_cpus_milli:
        return Refusal(
            "not_enough_cpus",
            {"needs_milli": need.cpus_milli, "has_milli": terms.lent_cpus_milli},
            Relaxation("fewer_cpus", {"to_milli": terms.lent_cpus_milli}),
        )
    if need.memory_bytes > terms.lent_memory_bytes:
        return Refusal(
            "not_enough_memory",
            {"needs_bytes": need.memory_bytes, "has_bytes": terms.lent_memory_bytes},
            Relaxation("less_memory", {"to_bytes": terms.lent_memory_bytes}),
        )
    if need.device_count > facts.most_devices:
        return Refusal(
            "not_enough_devices",
            {"needs": need.device_count, "has": facts.most_devices},
            Relaxation("fewer_devices", {"to": facts.most_devices}),
        )
    return Refusal("owner_reclaimed", {"pool": where}, Relaxation("wait_for_pool", {"pool": where}))


def _slots(world: World, request: Request, sizing: Sizing, pool: Pool, now: int) -> tuple[int, ...]:
    """Return in how many seconds each slot of the pool is free, soonest first.

    No more slots than there are tasks: the others would stay empty. At a site with a queue of its
    own a task begins no sooner than the site says.
    """
    most = min(_SLOTS_MAX, request.task_count)
    rooms = rooms_of(world, pool, request.resources)
    free, total, wait_s = min(most, rooms.free), min(most, rooms.total), rooms.wait_s
    if free >= total:
        return (wait_s,) * free
    ends = frees_in_s(world, pool, now) or [task_seconds(sizing, 1_000_000, request.time_limit_s)]
    later = [max(wait_s, ends[min(i, len(ends) - 1)]) for i in range(total - free)]
    return (*(wait_s,) * free, *later)
