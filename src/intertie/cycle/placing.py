"""Clear and place: who gets what, at what price; owners first, then the aged, then by share."""

import numpy as np
from numpy.typing import NDArray

from intertie.cycle.digests import keep_digests
from intertie.cycle.leasing import bind
from intertie.cycle.orders import Orders, Supply, orders_of, supply_of
from intertie.cycle.prices import LARGEST
from intertie.cycle.shares import project_uses
from intertie.cycle.views import facts_of, name_of, wallet_micro
from intertie.model.policy import Policy
from intertie.placement.fill import NO_TRADE, fill
from intertie.world.changes import Changes
from intertie.world.world import World

Ints = NDArray[np.int64]


def place(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the leases and holds of this round."""
    changes = Changes()
    supply = supply_of(world)
    orders = orders_of(world, supply, policy, now)
    if orders is not None:
        placed = _fill(world, orders, supply, policy, now)
        bind(world, changes, orders, supply, placed, policy, now)
        keep_digests(world, changes)
    return changes


def _fill(
    world: World, orders: Orders, supply: Supply, policy: Policy, now: int
) -> list[tuple[int, int]]:
    """Return (job, node) of each task placed, by their rows.

    Owners on their own pools; then those who waited too long, the oldest first whoever used how
    much; then everybody by share. What one fill leaves is what the next may give.
    """
    projects = sorted({kin.project for kin in orders.kins})
    weight = np.array([world.projects.value(p, "weight") for p in projects], np.int64)
    # Use that is absurdly large counts as the largest that the kernel can multiply by a weight.
    most = LARGEST // int(weight.max()) // 2
    used = np.minimum(project_uses(world, projects, policy, now), most)
    use = np.minimum(_task_use(orders), max(1, most // max(1, int(orders.count.sum()))))
    project = np.searchsorted(projects, [kin.project for kin in orders.kins])
    wallet = np.array([min(LARGEST, wallet_micro(world, p)) for p in projects], np.int64)
    is_gang = np.array([kin.is_gang for kin in orders.kins], np.int64)
    budget, count = orders.budget.copy(), orders.count.copy()
    free, lent = supply.free.copy(), supply.lent.copy()
    placed: list[tuple[int, int]] = []
    everybody, nothing = np.ones(len(count), np.bool_), np.zeros_like(use)
    for ranks, who, has_used, uses in (
        (_owners(world, orders, supply), everybody, used, use),
        (orders.rank, orders.is_aged, np.zeros_like(used), nothing),
        (orders.rank, everybody, used, use),
    ):
        if not who.any() or (ranks == NO_TRADE).all():
            continue
        jobs, nodes = fill(
            orders.kin,
            np.where(who, count, 0),
            budget,
            orders.need,
            orders.wants,
            ranks,
            orders.prices.hold,
            uses,
            is_gang,
            project,
            free,
            supply.whole,
            supply.traits,
            lent,
            has_used,
            weight,
            wallet,
        )
        placed += zip(jobs.tolist(), nodes.tolist(), strict=True)
        count -= np.bincount(jobs, minlength=len(count))
        if uses is nothing:
            np.add.at(used, project[orders.kin[jobs]], use[orders.kin[jobs]])
    return placed


def _owners(world: World, orders: Orders, supply: Supply) -> Ints:
    """Return the ranks of owners on their own pools alone: there they come before guests.

    Only where the owner's job would rather run than anywhere else: owning a machine does not
    send a job to it that wants to be cheap or soon elsewhere.
    """
    own = np.full_like(orders.rank, NO_TRADE)
    names = np.array([name_of(world, "project", kin.project) for kin in orders.kins])
    for at, pool in enumerate(supply.pools):
        facts = facts_of(world, pool)
        if facts is not None and facts.terms.own_project:
            own[(names == facts.terms.own_project) & (orders.rank[:, at] == 0), at] = 0
    return own


def _task_use(orders: Orders) -> Ints:
    """Return the least service units a task is expected to use, at least one millionth."""
    uses = np.where(orders.rank == NO_TRADE, LARGEST, orders.prices.use)
    least: Ints = np.maximum(1, uses.min(axis=1))
    return least
