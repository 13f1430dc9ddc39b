"""Fill: give free capacity to waiting tasks, the project with the least use by weight first.

The kernel. Its specification is `fill_slowly` in tests/unit/test_fill.py: functionally the same,
written to be read.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NO_TRADE = -1
# Why no node was found: none has room, or those with room cost more than may be set aside.
_NO_ROOM, _TOO_DEAR = -1, -2


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fill(
    kin: Ints,
    count: Ints,
    budget: Ints,
    need: Ints,
    rank: Ints,
    hold: Ints,
    use: Ints,
    is_gang: Ints,
    project: Ints,
    free: Ints,
    node_pool: Ints,
    lent: Ints,
    used: Ints,
    weight: Ints,
    wallet: Ints,
) -> tuple[Ints, Ints]:
    """Return (job, node) of each task placed, in the order they were placed; axes [placed].

    Jobs come in queue order within their project: kin[job], count[job] waiting tasks, budget[job]
    that may still be set aside for it. What no two jobs of a kin differ in: need[kin, resource],
    rank[kin, pool] with NO_TRADE where it may not go, hold[kin, pool] to be set aside for a task,
    use[kin] by a task, is_gang[kin], project[kin]. free[node, resource], node_pool[node],
    lent[pool, resource] (what the owner still lends, whatever its nodes have free), used[project]
    in the unit of `use`, weight[project], wallet[project].

    A task goes only where budget and wallet hold for it; of a gang each task only where they would
    hold for all of its tasks, and it is placed whole or left. A job that finds no node steps aside
    for those behind it. What is placed is taken from budget, free, lent and wallet and added to
    used, in the arrays given. Bounded by the number of tasks plus jobs.
    """
    left, is_over = count.copy(), np.zeros(need.shape[0], np.bool_)
    queue, head, end = _queues(kin, project, used.shape[0])
    total = count.sum()
    placed_job, placed_node = np.empty(total, np.int64), np.empty(total, np.int64)
    placed = 0
    while True:
        job = _next_job(queue, head, end, left, kin, is_over, used, weight)
        if job < 0:
            break
        k = kin[job]
        payer, wanted, begun = project[k], left[job] if is_gang[k] else 1, placed
        most = min(budget[job], wallet[payer]) // wanted
        node = 0
        for _ in range(wanted):
            node = _best_node(need[k], rank[k], hold[k], most, free, lent, node_pool)
            if node < 0:
                break
            _take(need[k], 1, node, node_pool[node], free, lent)
            placed_job[placed], placed_node[placed] = job, node
            placed += 1
        if node < 0:
            # Room and money only shrink: what holds back one task holds back each of its kin.
            is_poor = node == _TOO_DEAR and wanted == 1 and wallet[payer] <= budget[job]
            is_over[k] |= begun == placed and (node == _NO_ROOM or is_poor)
            for at in range(begun, placed):
                _take(need[k], -1, placed_node[at], node_pool[placed_node[at]], free, lent)
            placed, left[job] = begun, 0
            continue
        for at in range(begun, placed):
            cost = hold[k, node_pool[placed_node[at]]]
            budget[job] -= cost
            wallet[payer] -= cost
        left[job] -= wanted
        used[payer] += wanted * use[k]
    return placed_job[:placed], placed_node[:placed]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def has_room(need: Ints, rank: Ints, free: Ints, node_pool: Ints, lent: Ints) -> NDArray[np.bool_]:
    """Return for each kin whether one task fits some node, whatever it costs; axes [kin]."""
    found = np.zeros(need.shape[0], np.bool_)
    nothing = np.zeros(lent.shape[0], np.int64)
    for k in range(need.shape[0]):
        found[k] = _best_node(need[k], rank[k], nothing, 0, free, lent, node_pool) >= 0
    return found


def warm() -> None:
    """Compile the kernels, or load them: one task of one job on one node."""
    one, each, none = np.ones((1, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)
    fill(none, each, each, one, one, one, each, each, none, one, none, one, each, each, each)
    has_room(one, one, one, none, one)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _queues(kin: Ints, project: Ints, projects: int) -> tuple[Ints, Ints, Ints]:
    """Return the jobs by project, in order, and where each project's queue begins and ends."""
    end = np.zeros(projects, np.int64)
    for job in range(kin.shape[0]):
        end[project[kin[job]]] += 1
    end = np.cumsum(end)
    queue, at = np.empty(kin.shape[0], np.int64), end.copy()
    for job in range(kin.shape[0] - 1, -1, -1):
        owner = project[kin[job]]
        at[owner] -= 1
        queue[at[owner]] = job
    return queue, at, end


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_job(
    queue: Ints,
    head: Ints,
    end: Ints,
    left: Ints,
    kin: Ints,
    is_over: NDArray[np.bool_],
    used: Ints,
    weight: Ints,
) -> int:
    """Return the first waiting job of the project with the least use by weight, or -1.

    Compared as used_a * weight_b < used_b * weight_a, so that nothing is rounded; the earlier of
    two jobs where both are alike.
    """
    best, best_owner = -1, -1
    for owner in range(end.shape[0]):
        at = head[owner]
        while at < end[owner] and (left[queue[at]] <= 0 or is_over[kin[queue[at]]]):
            at += 1
        head[owner] = at
        if at == end[owner]:
            continue
        mine, other = used[owner] * weight[best_owner], used[best_owner] * weight[owner]
        if best < 0 or mine < other or (mine == other and queue[at] < best):
            best, best_owner = queue[at], owner
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _best_node(
    need: Ints, rank: Ints, hold: Ints, most: int, free: Ints, lent: Ints, node_pool: Ints
) -> int:
    """Return the node with room in the pool of lowest rank that costs at most `most` to hold.

    The fullest of its pool first; _NO_ROOM or _TOO_DEAR if there is none.
    """
    best, best_rank, best_free = _NO_ROOM, 0, 0
    for node in range(free.shape[0]):
        pool = node_pool[node]
        here = rank[pool]
        if here == NO_TRADE or not _fits(need, free[node], lent[pool]):
            continue
        if hold[pool] > most:
            best = _TOO_DEAR if best < 0 else best
        elif best < 0 or here < best_rank or (here == best_rank and free[node, 0] < best_free):
            best, best_rank, best_free = node, here, free[node, 0]
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fits(need: Ints, free: Ints, lent: Ints) -> bool:
    for resource in range(need.shape[0]):
        if free[resource] < need[resource] or lent[resource] < need[resource]:
            return False
    return True


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _take(need: Ints, sign: int, node: int, pool: int, free: Ints, lent: Ints) -> None:
    for resource in range(need.shape[0]):
        free[node, resource] -= sign * need[resource]
        lent[pool, resource] -= sign * need[resource]
