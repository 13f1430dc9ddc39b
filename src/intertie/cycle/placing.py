"""Clear and place: who gets what, at what price; owners first, then the aged, then by share."""

from itertools import count

import numpy as np
from numpy.typing import NDArray

from intertie.cycle.affording import affordable, payable
from intertie.cycle.leasing import bind
from intertie.cycle.orders import LARGEST, Orders, Priced, claims_of, orders_of
from intertie.cycle.shares import project_use
from intertie.cycle.views import facts_of, free_nodes, free_of, name_of, request_of
from intertie.market.clearing import NO_TRADE
from intertie.model.job import Job
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.states import JobState
from intertie.model.units import MILLI, service_units_micro
from intertie.placement.fill import fill
from intertie.world.changes import Changes
from intertie.world.world import World

Ints = NDArray[np.int64]
# How often a round is filled again where money was short, before what can be paid is taken.
_PASSES = 3


def place(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the leases and holds of this round.

    What a wallet or a budget cannot hold for is dropped and the round is filled again without
    it, so that nobody's capacity is kept by an order that cannot pay: three times, or until
    something is kept. Each pass takes tasks away from a job, so that this ends.
    """
    changes = Changes()
    orders = orders_of(world)
    if not orders.jobs or not orders.pools:
        return changes
    claims = claims_of(orders)
    rank = np.where(payable(world, orders, policy), claims.rank, NO_TRADE)
    limits = [len(tasks) for tasks in orders.waiting]
    for passes in count(1):
        placed = _fill(world, orders, rank, limits, policy, now)
        kept = affordable(world, orders, placed, policy)
        if len(kept) == len(placed) or (kept and passes >= _PASSES):
            break
        had, has = _count(placed, len(limits)), _count(kept, len(limits))
        limits = [h if h < p else at for h, p, at in zip(has, had, limits, strict=True)]
    bind(world, changes, orders, kept, policy, now)
    return changes


def _fill(
    world: World, orders: Orders, rank: Ints, limits: list[int], policy: Policy, now: int
) -> list[tuple[int, int]]:
    """Return (job, node row) of each task placed; node rows are those of `_nodes`."""
    needs = [request_of(world, job.id).resources for job in orders.jobs]
    nodes = _nodes(world, orders)
    projects = sorted({job.project for job in orders.jobs})
    weight = np.array([world.projects.get(p).weight for p in projects], np.int64)
    # Use that is absurdly large counts as the largest that the kernel can multiply by a weight.
    most = LARGEST // int(weight.max()) // 2
    each = most // max(1, sum(limits))
    used = np.array([min(most, project_use(world, p, policy, now)) for p in projects], np.int64)
    tasks = [_task_use(job, orders.priced[at]) for at, job in enumerate(orders.jobs)]
    use = np.array([min(each, task) for task in tasks], np.int64)
    counts = np.array(limits, np.int64)
    need = np.array([[n.cpus_milli, n.memory_bytes, n.disk_bytes, n.device_count] for n in needs])
    gang = np.array([job.is_gang for job in orders.jobs], np.int64)
    project = np.array([projects.index(job.project) for job in orders.jobs], np.int64)
    free = np.array([free for _, _, free in nodes], np.int64).reshape(len(nodes), 4)
    lent = np.array([_lent(world, pool) for pool in orders.pools], np.int64)
    node_pool = np.array([pool for _, pool, _ in nodes], np.int64)
    placed: list[tuple[int, int]] = []
    aged = np.where(_aged(world, orders, policy, now)[:, None], rank, NO_TRADE)
    nothing = np.zeros_like(used), np.zeros_like(use)
    # Owners on their own pools; then those who waited too long, the oldest first whoever used
    # how much; then everybody by share.
    for ranks, shares in (
        (_owners(world, orders, rank), (used, use)),
        (aged, nothing),
        (rank, (used, use)),
    ):
        jobs, rows = fill(
            need, counts, gang, project, ranks, free, lent, node_pool, shares[0], weight, shares[1]
        )
        for job, row in zip(jobs.tolist(), rows.tolist(), strict=True):
            placed.append((job, nodes[row][0]))
            free[row] -= need[job]
            lent[node_pool[row]] -= need[job]
            used[project[job]] += use[job]
            counts[job] -= 1
    return placed


def _aged(world: World, orders: Orders, policy: Policy, now: int) -> NDArray[np.bool_]:
    """Return which jobs have waited so long for a start that shares hold them back no more."""
    return np.array(
        [
            job.state == JobState.QUEUED and now - job.submitted_at > policy.ageing_s * MILLI
            for job in orders.jobs
        ],
        np.bool_,
    )


def _owners(world: World, orders: Orders, rank: Ints) -> Ints:
    """Return the ranks of owners on their own pools alone: there they come before guests.

    Only where the owner's job would rather run than anywhere else: owning a machine does not
    send a job to it that wants to be cheap or soon elsewhere.
    """
    own = np.full_like(rank, NO_TRADE)
    names = [name_of(world, "project", job.project) for job in orders.jobs]
    for at, pool in enumerate(orders.pools):
        facts = facts_of(world, pool.id)
        if facts is None or not facts.terms.own_project:
            continue
        for job, name in enumerate(names):
            if name == facts.terms.own_project and rank[job, at] == 0:
                own[job, at] = rank[job, at]
    return own


def _nodes(world: World, orders: Orders) -> list[tuple[int, int, list[int]]]:
    """Return (node id, pool row, free resources) of every node."""
    found = []
    for row, pool in enumerate(orders.pools):
        found += [(node, row, free) for node, free in free_nodes(world, pool)]
    return found


def _lent(world: World, pool: Pool) -> list[int]:
    """Return what a pool still lends over all its nodes; disk and devices only nodes limit."""
    cpus, memory = free_of(world, pool)
    return [cpus, memory, LARGEST, LARGEST]


def _task_use(job: Job, priced_row: tuple[Priced | None, ...]) -> int:
    """Return the service units one task is expected to use, at least one millionth."""
    uses = [
        service_units_micro(task_s * MILLI, units, offer.score_millionths)
        for offer, units, task_s in filter(None, priced_row)
    ]
    return max(1, min(uses, default=1))


def _count(placed: list[tuple[int, int]], jobs: int) -> list[int]:
    counts = [0] * jobs
    for at, _ in placed:
        counts[at] += 1
    return counts
