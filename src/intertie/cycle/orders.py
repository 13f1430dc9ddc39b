"""Clear: the waiting jobs, what each would be promised where, and the claims at list prices."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from intertie.cycle.candidates import home, refusal_of
from intertie.cycle.views import contract_of, facts_of, price_for, request_of
from intertie.market.clearing import Claims, clear
from intertie.market.dominant import units_milli
from intertie.market.quoting import task_seconds
from intertie.model.job import Job
from intertie.model.offer import Offer
from intertie.model.parties import Pool
from intertie.model.states import JobState, PoolState, TaskState
from intertie.model.units import MILLI, charge_micro
from intertie.world.world import World

# int64 wraps silently in a kernel: every product there stays below this.
LARGEST = 2**62


class Priced(NamedTuple):
    """What one task of a job is promised on one pool: price version, billed units, run time."""

    offer: Offer
    units_milli: int
    task_s: int


@dataclass(frozen=True)
class Orders:
    """The waiting jobs in queue order, their tasks by id, and the pools that may take them.

    `priced[job][pool]` is None where the pool cannot run the job.
    """

    jobs: tuple[Job, ...]
    waiting: tuple[tuple[int, ...], ...]
    pools: tuple[Pool, ...]
    priced: tuple[tuple[Priced | None, ...], ...]


def orders_of(world: World) -> Orders:
    """Oldest first within a project: the fill takes projects by their use, jobs in this order."""
    jobs = [
        job
        for state in (JobState.QUEUED, JobState.RUNNING)
        for job in world.jobs.where(state=state)
        if not job.is_cancelled and not world.projects.get(job.project).is_blocked
    ]
    jobs.sort(key=lambda job: (job.submitted_at, job.id))
    waiting = [tuple(world.tasks.numbers_where(job=job.id, state=TaskState.QUEUED)) for job in jobs]
    kept = [at for at, tasks in enumerate(waiting) if tasks and _is_whole(world, jobs[at], tasks)]
    pools = tuple(world.pools.where(state=PoolState.ONLINE))
    return Orders(
        jobs=tuple(jobs[at] for at in kept),
        waiting=tuple(waiting[at] for at in kept),
        pools=pools,
        priced=tuple(tuple(priced(world, jobs[at], pool) for pool in pools) for at in kept),
    )


def claims_of(orders: Orders) -> Claims:
    """Return what the list prices clear: which job may go to which pool, and in which order."""
    shape = (len(orders.jobs), len(orders.pools))
    micro, seconds = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    eligible = np.zeros(shape, np.bool_)
    for at, row in enumerate(orders.priced):
        for pool, priced in enumerate(row):
            if priced is not None:
                offer, units, task_s = priced
                cost = charge_micro(task_s * MILLI, units, offer.price_micro_per_unit_h)
                micro[at, pool] = min(cost, LARGEST)
                seconds[at, pool], eligible[at, pool] = task_s, True
    limit = np.array([job.limit_micro_per_task for job in orders.jobs], np.int64)
    soonest = np.array([job.is_soonest for job in orders.jobs], np.int64)
    return clear(micro, seconds, limit, soonest, eligible)


def priced(world: World, job: Job, pool: Pool) -> Priced | None:
    """Return what a job would be promised on a pool, or None where it cannot run."""
    request = request_of(world, job.id)
    if refusal_of(world, request, pool, job.project) is not None:
        return None
    if not is_promised(world, job, pool):
        return None
    offer, facts = price_for(world, job.id, pool.id), facts_of(world, pool.id)
    assert offer is not None and facts is not None
    units = units_milli(request.resources, home(request, facts))
    sizing = contract_of(world, job.id).sizing
    return Priced(offer, units, task_seconds(sizing, offer.score_millionths, job.time_limit_s))


def priced_on(world: World, orders: Orders, at: int, node: int) -> Priced:
    """Return what the job in row `at` is promised on the pool of a node."""
    pool = world.nodes.get(node).pool
    row = next(i for i, each in enumerate(orders.pools) if each.id == pool)
    found = orders.priced[at][row]
    assert found is not None, "the kernel placed a job where it may not go"
    return found


def is_promised(world: World, job: Job, pool: Pool) -> bool:
    """Return whether a job may go to a pool by what it was quoted.

    Who took a quote and named no budget gets what the quote says, and is never sent elsewhere.
    """
    if not job.quote or job.budget_micro:
        return True
    return any(locked.pool == pool.id for locked in contract_of(world, job.id).prices)


def _is_whole(world: World, job: Job, waiting: tuple[int, ...]) -> bool:
    """Return whether every task of a gang that has not ended waits: a gang is whole or absent."""
    if not job.is_gang:
        return True
    states = world.tasks.counts("state", job=job.id)
    return len(waiting) == job.task_count - states.get(TaskState.ENDED, 0)
