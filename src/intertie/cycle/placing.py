"""Clear and place: who gets what, at what price; owners first, then the aged, then by share."""

import numpy as np
from numpy.typing import NDArray

from intertie.cycle.digests import keep_digests
from intertie.cycle.leasing import bind
from intertie.cycle.orders import Orders, Supply, orders_of, supply_of
from intertie.cycle.preempting import owners_first
from intertie.cycle.prices import LARGEST
from intertie.cycle.reconciling import stop_one
from intertie.cycle.running import releases_of
from intertie.cycle.shares import project_uses
from intertie.cycle.views import wallet_micro
from intertie.model.policy import Policy
from intertie.model.states import Cause
from intertie.placement.fill import fill
from intertie.placement.given import BACKFILLS, Payers
from intertie.placement.keeping import nothing_kept
from intertie.world.changes import Changes
from intertie.world.world import World

Ints = NDArray[np.int64]


def place(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the leases and holds of this round."""
    changes = Changes()
    supply = supply_of(world)
    orders = orders_of(world, supply, policy, now)
    if orders is not None:
        placed, evicted = _fill(world, orders, supply, policy, now)
        for lease in evicted:
            stop_one(world, changes, world.leases.get(lease), Cause.RECLAIMED, now)
        bind(world, changes, orders, supply, placed, policy, now)
        keep_digests(world, changes)
    return changes


def _fill(
    world: World, orders: Orders, supply: Supply, policy: Policy, now: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return (job, node) of each task placed, by their rows, and the leases that make way.

    Owners on their own pools; then those who waited too long, the oldest first whoever used how
    much; then everybody by share. What one fill leaves is what the next may give, and what one
    keeps for the first that waits the next keeps too.
    """
    payers, use = _payers(world, orders, policy, now)
    kins, jobs = orders.columns._replace(use=use), orders.jobs
    count = jobs.tasks.copy()
    jobs = jobs._replace(budget=jobs.budget.copy(), tasks=count)
    given = supply.places
    places = given._replace(free=given.free.copy(), lent=given.lent.copy())
    everybody, nothing = np.ones(len(count), np.bool_), np.zeros_like(use)
    by_age = payers._replace(used=np.zeros_like(payers.used))
    releases, kept = releases_of(world, supply.nodes, policy, now), nothing_kept(places)
    first = owners_first(
        world, supply.pools, supply.nodes, orders.own, jobs, kins, places, payers, policy, now
    )
    placed = first.placed
    for ranks, who, whose, uses in (
        (kins.rank, orders.is_aged, by_age, nothing),
        (kins.rank, everybody, payers, use),
    ):
        if not who.any():
            continue
        rows, nodes = fill(
            jobs._replace(tasks=np.where(who, count, 0)),
            kins._replace(rank=ranks, use=uses),
            places,
            whose,
            releases,
            kept,
            BACKFILLS.index(policy.backfill),
        )
        placed += zip(rows.tolist(), nodes.tolist(), strict=True)
        count -= np.bincount(rows, minlength=len(count))
        if uses is nothing:
            np.add.at(payers.used, kins.project[jobs.kin[rows]], use[jobs.kin[rows]])
    return placed, first.evicted


def _payers(world: World, orders: Orders, policy: Policy, now: int) -> tuple[Payers, Ints]:
    """Return the projects, and what a task of each kin adds to its project's use."""
    projects = orders.projects
    weight = np.array([world.projects.value(p, "weight") for p in projects], np.int64)
    # Use that is absurdly large counts as the largest that the kernel can multiply by a weight.
    most = LARGEST // int(weight.max()) // 2
    used = np.minimum(project_uses(world, projects, policy, now), most)
    tasks = max(1, int(orders.jobs.tasks.sum()))
    use = np.minimum(orders.columns.use, max(1, most // tasks))
    wallet = np.array([min(LARGEST, wallet_micro(world, p)) for p in projects], np.int64)
    return Payers(used, weight, wallet), use
