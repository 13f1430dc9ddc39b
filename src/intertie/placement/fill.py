"""Fill: give free capacity to waiting tasks, the project with the least use by weight first.

The kernel. Its specification is `fill_slowly` in tests/unit/test_fill.py: functionally the same,
written to be read.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NO_TRADE = -1


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fill(
    need: Ints,
    count: Ints,
    is_gang: Ints,
    project: Ints,
    rank: Ints,
    free: Ints,
    lent: Ints,
    node_pool: Ints,
    used: Ints,
    weight: Ints,
    task_use: Ints,
) -> tuple[Ints, Ints]:
    """Return (job, node) of each task placed, in the order they were placed; axes [placed].

    Jobs come in queue order within their project. need[job, resource], count[job] waiting tasks,
    rank[job, pool] with NO_TRADE where it may not go, free[node, resource], lent[pool, resource]
    (what the owner still lends, whatever its nodes have free), used[project] and task_use[job] in
    the same unit, weight[project]. A gang is placed whole or left. A job that finds no room steps
    aside for those behind it. Bounded by the number of tasks plus jobs. Nothing given is changed.
    """
    jobs, nodes = need.shape[0], free.shape[0]
    free, lent, used, left = free.copy(), lent.copy(), used.copy(), count.copy()
    total = 0
    for job in range(jobs):
        total += count[job]
    placed_job = np.empty(total, dtype=np.int64)
    placed_node = np.empty(total, dtype=np.int64)
    placed = 0
    while True:
        job = _next_job(left, project, used, weight)
        if job < 0:
            break
        wanted = left[job] if is_gang[job] else 1
        begun = placed
        for _ in range(wanted):
            node = _best_node(need[job], rank[job], free, lent, node_pool, nodes)
            if node < 0:
                break
            free[node] -= need[job]
            lent[node_pool[node]] -= need[job]
            placed_job[placed], placed_node[placed] = job, node
            placed += 1
        if placed - begun < wanted:
            for at in range(begun, placed):
                free[placed_node[at]] += need[job]
                lent[node_pool[placed_node[at]]] += need[job]
            placed, left[job] = begun, 0
            continue
        left[job] -= wanted
        used[project[job]] += wanted * task_use[job]
    return placed_job[:placed], placed_node[:placed]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_job(left: Ints, project: Ints, used: Ints, weight: Ints) -> int:
    """Return the first waiting job of the project with the least use by weight, or -1.

    Compared as used_a * weight_b < used_b * weight_a, so that nothing is rounded.
    """
    best = -1
    for job in range(left.shape[0]):
        if left[job] <= 0:
            continue
        if best < 0:
            best = job
            continue
        mine, other = project[job], project[best]
        if mine != other and used[mine] * weight[other] < used[other] * weight[mine]:
            best = job
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _best_node(need: Ints, rank: Ints, free: Ints, lent: Ints, node_pool: Ints, nodes: int) -> int:
    """Return the node with room in the pool of lowest rank, the fullest first.

    -1 if none has room.
    """
    best, best_rank, best_free = -1, 0, 0
    for node in range(nodes):
        pool = node_pool[node]
        here = rank[pool]
        if here == NO_TRADE:
            continue
        has_room = True
        for resource in range(need.shape[0]):
            if free[node, resource] < need[resource] or lent[pool, resource] < need[resource]:
                has_room = False
                break
        if not has_room:
            continue
        if best < 0 or here < best_rank or (here == best_rank and free[node, 0] < best_free):
            best, best_rank, best_free = node, here, free[node, 0]
    return best
