"""Clear and place: who gets what, at what price, and the hold that pays for it."""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from intertie.cycle.candidates import home, refusal_of
from intertie.cycle.shares import project_use
from intertie.cycle.views import (
    account_of,
    contract_of,
    facts_of,
    free_nodes,
    free_of,
    name_of,
    price_for,
    request_of,
    wallet_micro,
)
from intertie.ledger.booking import hold
from intertie.market.clearing import NO_TRADE, Claims, clear
from intertie.market.dominant import units_milli
from intertie.market.quoting import task_seconds
from intertie.model.job import Job, Task
from intertie.model.lease import Hold, Lease
from intertie.model.ledger import AccountKind
from intertie.model.offer import Offer
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.states import (
    Cause,
    HoldState,
    JobState,
    LeaseState,
    PoolState,
    TaskState,
    advance,
)
from intertie.model.units import MILLI, charge_micro, service_units_micro
from intertie.placement.fill import fill
from intertie.world.changes import Changes
from intertie.world.world import World

Ints = NDArray[np.int64]
# int64 wraps silently in a kernel: every product there stays below this.
_LARGEST = 2**62
# How often a round is filled again where money was short, before what can be paid is taken.
_PASSES = 3


@dataclass(frozen=True)
class Orders:
    """The waiting jobs in queue order, their tasks by id, and the pools that may take them.

    `priced[job][pool]` is (offer, units_milli, task_s) or None where the pool cannot run the job.
    """

    jobs: tuple[Job, ...]
    waiting: tuple[tuple[int, ...], ...]
    pools: tuple[Pool, ...]
    priced: tuple[tuple[tuple[Offer, int, int] | None, ...], ...]


def place(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the leases and holds of this round.

    What a wallet or a budget cannot hold for is dropped and the round is filled again without
    it, so that nobody's capacity is kept by an order that cannot pay: three times, or until
    something is kept. Each pass takes tasks away from a job, so that this ends.
    """
    changes = Changes()
    orders = _orders(world, now)
    if not orders.jobs or not orders.pools:
        return changes
    claims = claims_of(orders)
    rank = np.where(_payable(world, orders, policy), claims.rank, NO_TRADE)
    limits = [len(tasks) for tasks in orders.waiting]
    for passes in count(1):
        placed = _fill(world, orders, rank, limits, policy, now)
        kept = _affordable(world, orders, placed, policy)
        if len(kept) == len(placed) or (kept and passes >= _PASSES):
            break
        had, has = _count(placed, len(limits)), _count(kept, len(limits))
        limits = [h if h < p else at for h, p, at in zip(has, had, limits, strict=True)]
    _bind(world, changes, orders, kept, policy, now)
    return changes


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
                micro[at, pool] = min(cost, _LARGEST)
                seconds[at, pool], eligible[at, pool] = task_s, True
    limit = np.array([job.limit_micro_per_task for job in orders.jobs], np.int64)
    soonest = np.array([job.is_soonest for job in orders.jobs], np.int64)
    return clear(micro, seconds, limit, soonest, eligible)


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


def _orders(world: World, now: int) -> Orders:
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


def _is_whole(world: World, job: Job, waiting: tuple[int, ...]) -> bool:
    """Return whether every task of a gang that has not ended waits: a gang is whole or absent."""
    if not job.is_gang:
        return True
    states = world.tasks.counts("state", job=job.id)
    return len(waiting) == job.task_count - states.get(TaskState.ENDED, 0)


def is_promised(world: World, job: Job, pool: Pool) -> bool:
    """Return whether a job may go to a pool by what it was quoted.

    Who took a quote and named no budget gets what the quote says, and is never sent elsewhere.
    """
    if not job.quote or job.budget_micro:
        return True
    return any(locked.pool == pool.id for locked in contract_of(world, job.id).prices)


def priced(world: World, job: Job, pool: Pool) -> tuple[Offer, int, int] | None:
    """Return (offer, units_milli, task_s) of a job on a pool, or None where it cannot run."""
    request = request_of(world, job.id)
    if refusal_of(world, request, pool, job.project) is not None:
        return None
    if not is_promised(world, job, pool):
        return None
    offer, facts = price_for(world, job.id, pool.id), facts_of(world, pool.id)
    assert offer is not None and facts is not None
    units = units_milli(request.resources, home(request, facts))
    sizing = contract_of(world, job.id).sizing
    return offer, units, task_seconds(sizing, offer.score_millionths, job.time_limit_s)


def _fill(
    world: World, orders: Orders, rank: Ints, limits: list[int], policy: Policy, now: int
) -> list[tuple[int, int]]:
    """Return (job, node row) of each task placed; node rows are those of `_nodes`."""
    needs = [request_of(world, job.id).resources for job in orders.jobs]
    nodes = _nodes(world, orders)
    projects = sorted({job.project for job in orders.jobs})
    weight = np.array([world.projects.get(p).weight for p in projects], np.int64)
    # Use that is absurdly large counts as the largest that the kernel can multiply by a weight.
    most = _LARGEST // int(weight.max()) // 2
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
    return [cpus, memory, _LARGEST, _LARGEST]


def _task_use(job: Job, priced_row: tuple[tuple[Offer, int, int] | None, ...]) -> int:
    """Return the service units one task is expected to use, at least one millionth."""
    uses = [
        service_units_micro(task_s * MILLI, units, offer.score_millionths)
        for offer, units, task_s in filter(None, priced_row)
    ]
    return max(1, min(uses, default=1))


def _payable(world: World, orders: Orders, policy: Policy) -> NDArray[np.bool_]:
    """Return payable[job, pool]: whether the wallet and the budget hold for a task there alone.

    A gang must be able to pay for all of its tasks on any pool where one of them may go.
    """
    found = np.zeros((len(orders.jobs), len(orders.pools)), np.bool_)
    for at, job in enumerate(orders.jobs):
        left = _left_micro(world, job)
        tasks = len(orders.waiting[at]) if job.is_gang else 1
        for pool, priced in enumerate(orders.priced[at]):
            found[at, pool] = priced is not None and _hold(job, priced, policy) * tasks <= left
    return found


def _left_micro(world: World, job: Job) -> int:
    """Return what a job may still set aside: all its wallet has, at most what its budget leaves."""
    wallet = wallet_micro(world, job.project)
    if not job.budget_micro:
        return wallet
    return min(wallet, job.budget_micro - job.spent_micro - job.held_micro)


def _affordable(
    world: World, orders: Orders, placed: list[tuple[int, int]], policy: Policy
) -> list[tuple[int, int]]:
    """Return those placed, in order, that wallets and budgets can hold for together."""
    costs = [
        _hold(orders.jobs[at], _priced_on(world, orders, at, node), policy) for at, node in placed
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


def _hold(job: Job, priced: tuple[Offer, int, int], policy: Policy) -> int:
    offer, units, task_s = priced
    ms = lease_ms(job, task_s, offer.grace_s, policy)
    return hold_micro(ms, offer.grace_s, units, offer.price_micro_per_unit_h)


def _priced_on(world: World, orders: Orders, at: int, node: int) -> tuple[Offer, int, int]:
    pool = world.nodes.get(node).pool
    row = next(i for i, each in enumerate(orders.pools) if each.id == pool)
    found = orders.priced[at][row]
    assert found is not None, "the kernel placed a job where it may not go"
    return found


def _count(placed: list[tuple[int, int]], jobs: int) -> list[int]:
    counts = [0] * jobs
    for at, _ in placed:
        counts[at] += 1
    return counts


def _bind(
    world: World,
    changes: Changes,
    orders: Orders,
    placed: list[tuple[int, int]],
    policy: Policy,
    now: int,
) -> None:
    waiting = [iter(tasks) for tasks in orders.waiting]
    held: dict[int, int] = {}
    for at, node in placed:
        task, job = world.tasks.get(next(waiting[at])), orders.jobs[at]
        lease = _lease(world, changes, orders, at, task, node, policy, now)
        booked = hold_micro(
            lease.until - now, lease.grace_s, lease.units_milli, lease.price_micro_per_unit_h
        )
        empty = Hold(lease.id, job.project, job.id, HoldState.OPEN, 0, 0, 0)
        wallet = account_of(world, AccountKind.WALLET, job.project)
        escrow = account_of(world, AccountKind.ESCROW, job.project)
        number = world.next.get("Transaction", 1) + len(changes.transactions)
        full, transaction = hold(number, empty, booked, wallet, escrow, 0, lease.token, now)
        changes.put(lease, full)
        if booked:
            changes.transactions.append(transaction)
        held[job.id] = held.get(job.id, 0) + booked
        changes.put(replace(job, held_micro=job.held_micro + held[job.id]))
        state = advance(TaskState(task.state), TaskState.PLACED)
        changes.put(replace(task, state=state, lease=lease.id, attempts=task.attempts + 1))
        changes.event(
            job.id,
            "task_placed",
            task=task.index,
            pool=lease.pool,
            lease=lease.id,
            price_micro_per_unit_h=lease.price_micro_per_unit_h,
            hold_micro=booked,
        )


def _lease(
    world: World,
    changes: Changes,
    orders: Orders,
    at: int,
    task: Task,
    node: int,
    policy: Policy,
    now: int,
) -> Lease:
    job = orders.jobs[at]
    offer, units, task_s = _priced_on(world, orders, at, node)
    need = request_of(world, job.id).resources
    made = sum(1 for noun, _ in changes.rows if noun == "Lease")
    return Lease(
        id=world.next.get("Lease", 1) + made,
        token=task.attempts + 1,
        job=job.id,
        task=task.id,
        project=job.project,
        pool=world.nodes.get(node).pool,
        node=node,
        state=LeaseState.PLACED,
        cause=Cause.NONE,
        stop_cause=Cause.NONE,
        grace_s=offer.grace_s,
        exit_code=-1,
        signal=0,
        cpus_milli=need.cpus_milli,
        memory_bytes=need.memory_bytes,
        disk_bytes=need.disk_bytes,
        device_count=need.device_count,
        units_milli=units,
        offer=offer.id,
        price_micro_per_unit_h=offer.price_micro_per_unit_h,
        score_millionths=offer.score_millionths,
        placed_at=now,
        started_at=0,
        seen_running_at=0,
        seen_ended_at=0,
        stop_at=0,
        until=now + lease_ms(job, task_s, offer.grace_s, policy),
        agent_ms=0,
        network_ms=0,
        cpu_ms=0,
        memory_peak_bytes=0,
        charged_ms=0,
        charged_micro=0,
        slice_index=0,
        observed=0,
        is_taken=0,
        is_result=0,
    )
