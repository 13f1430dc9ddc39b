"""Whether wallets and budgets can hold for what is placed; a lease never outlives its hold."""

import numpy as np
from numpy.typing import NDArray

from intertie.cycle.orders import Orders, Priced, priced_on
from intertie.cycle.views import wallet_micro
from intertie.model.job import Job
from intertie.model.policy import Policy
from intertie.model.units import MILLI, charge_micro
from intertie.world.world import World


def payable(world: World, orders: Orders, policy: Policy) -> NDArray[np.bool_]:
    """Return payable[job, pool]: whether the wallet and the budget hold for a task there alone.

    A gang must be able to pay for all of its tasks on any pool where one of them may go.
    """
    found = np.zeros((len(orders.jobs), len(orders.pools)), np.bool_)
    for at, job in enumerate(orders.jobs):
        left = _left_micro(world, job)
        tasks = len(orders.waiting[at]) if job.is_gang else 1
        for pool, priced in enumerate(orders.priced[at]):
            found[at, pool] = priced is not None and hold_for(job, priced, policy) * tasks <= left
    return found


def affordable(
    world: World, orders: Orders, placed: list[tuple[int, int]], policy: Policy
) -> list[tuple[int, int]]:
    """Return those placed, in order, that wallets and budgets can hold for together."""
    costs = [
        hold_for(orders.jobs[at], priced_on(world, orders, at, node), policy) for at, node in placed
    ]
    whole: dict[int, int] = {}
    for (at, _), cost in zip(placed, costs, strict=True):
        if orders.jobs[at].is_gang:
            whole[at] = whole.get(at, 0) + cost
    wallets = {job.project: wallet_micro(world, job.project) for job in orders.jobs}
    budgets = {at: _left_micro(world, job) for at, job in enumerate(orders.jobs)}
    kept: list[tuple[int, int]] = []
    refused: set[int] = set()
    for (at, node), cost in zip(placed, costs, strict=True):
        wallet = wallets[orders.jobs[at].project]
        if at in refused or whole.get(at, cost) > min(wallet, budgets[at]):
            refused.add(at)
            continue
        if at in whole:
            whole[at] -= cost
        wallets[orders.jobs[at].project] -= cost
        budgets[at] -= cost
        kept.append((at, node))
    return kept


def hold_for(job: Job, priced: Priced, policy: Policy) -> int:
    """Return what one task of a job needs to have set aside before it is placed there."""
    offer, units, task_s = priced
    ms = lease_ms(job, task_s, offer.grace_s, policy)
    return hold_micro(ms, offer.grace_s, units, offer.price_micro_per_unit_h)


def lease_ms(job: Job, task_s: int, grace_s: int, policy: Policy) -> int:
    """Return how long a first lease runs: twice the expected time, within the policy's bounds.

    What it can cost is set aside at once, so that a short task asks for little; it is renewed
    while it runs, never beyond its time limit.
    """
    whole_s = policy.startup_s + job.time_limit_s + grace_s
    wanted_s = max(policy.lease_s_min, policy.startup_s + 2 * task_s + grace_s)
    return min(policy.lease_s, whole_s, wanted_s) * MILLI


def hold_micro(ms: int, grace_s: int, units: int, price_micro_per_unit_h: int) -> int:
    """Return what a lease of this length can cost at most, its grace included."""
    return charge_micro(ms + grace_s * MILLI, units, price_micro_per_unit_h)


def _left_micro(world: World, job: Job) -> int:
    """Return what a job may still set aside: all its wallet has, at most what its budget leaves."""
    wallet = wallet_micro(world, job.project)
    if not job.budget_micro:
        return wallet
    return min(wallet, job.budget_micro - job.spent_micro - job.held_micro)
