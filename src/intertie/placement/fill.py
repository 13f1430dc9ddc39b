"""Fill: give free capacity to waiting tasks, the project with the least use by weight first.

The kernel. Its specification is `fill_slowly` in tests/unit/test_fill.py: functionally the same,
written to be read.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NO_TRADE = -1
# What is known of a node, by the columns of `traits`: its pool's row, its device class, its wait.
POOL, CLASS, WAIT = 0, 1, 2
_LARGEST = 2**62
# Why no node was found: none has room, those with room cost more than may be set aside, or no
# pool alone has room for all of a gang.
_NO_ROOM, _TOO_DEAR, _NOT_WHOLE = -1, -2, -3


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fill(
    kin: Ints,
    count: Ints,
    budget: Ints,
    need: Ints,
    wants: Ints,
    rank: Ints,
    hold: Ints,
    use: Ints,
    is_gang: Ints,
    project: Ints,
    free: Ints,
    whole: Ints,
    traits: Ints,
    lent: Ints,
    used: Ints,
    weight: Ints,
    wallet: Ints,
) -> tuple[Ints, Ints]:
    """Return (job, node) of each task placed, in the order they were placed; axes [placed].

    Jobs come in queue order within their project: kin[job], count[job] waiting tasks, budget[job]
    that may still be set aside for it. What no two jobs of a kin differ in: need[kin, resource],
    the device class that it wants[kin] (0: any node will do), rank[kin, pool] with NO_TRADE where
    it may not go, hold[kin, pool] to be set aside for a task, use[kin] by a task, is_gang[kin],
    project[kin]. free[node, resource], the size of one machine of it whole[node, resource], its
    traits[node, POOL | CLASS | WAIT] (the wait before a task starts there),
    lent[pool, resource] (what the owner still lends, whatever its nodes have free), used[project]
    in the unit of `use`, weight[project], wallet[project]. The last resource is devices.

    A task goes only where budget and wallet hold for it; of a gang each task only where they would
    hold for all of its tasks, and it is placed whole on one pool or left. A job that finds no node
    steps aside for those behind it. What is placed is taken from budget, free, lent and wallet and
    added to used, in the arrays given. Bounded by the number of tasks by pool, plus jobs.
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
        payer, wanted = project[k], left[job] if is_gang[k] else 1
        most = min(budget[job], wallet[payer]) // wanted
        node = _best_node(need[k], wants[k], rank[k], hold[k], most, free, whole, traits, lent)
        if node < 0:
            # Room and money only shrink: what holds back one task holds back each of its kin.
            is_poor = node == _TOO_DEAR and wanted == 1 and wallet[payer] <= budget[job]
            is_over[k] |= node == _NO_ROOM or is_poor
        elif wanted == 1:
            _take(need[k], 1, node, traits[node, POOL], free, lent)
            placed_node[placed] = node
        else:
            chosen, whose = placed_node[placed : placed + wanted], (need[k], wants[k], rank[k])
            node = _gather(chosen, *whose, hold[k], most, free, whole, traits, lent)
        if node < 0:
            left[job] = 0
            continue
        for at in range(placed, placed + wanted):
            placed_job[at] = job
            cost = hold[k, traits[placed_node[at], POOL]]
            budget[job] -= cost
            wallet[payer] -= cost
        placed += wanted
        left[job] -= wanted
        used[payer] += wanted * use[k]
    return placed_job[:placed], placed_node[:placed]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def has_room(
    need: Ints,
    wants: Ints,
    rank: Ints,
    free: Ints,
    whole: Ints,
    traits: Ints,
    lent: Ints,
) -> NDArray[np.bool_]:
    """Return for each kin whether one task fits some node, whatever it costs; axes [kin]."""
    found = np.zeros(need.shape[0], np.bool_)
    nothing = np.zeros(lent.shape[0], np.int64)
    for k in range(need.shape[0]):
        node = _best_node(need[k], wants[k], rank[k], nothing, 0, free, whole, traits, lent)
        found[k] = node >= 0
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def waits(
    need: Ints,
    wants: Ints,
    whole: Ints,
    traits: Ints,
    pools: int,
) -> Ints:
    """Return how long a task of each kin waits at each pool's site at least; axes [kin, pool].

    0 where no machine of the pool could hold it: it does not go there anyway.
    """
    found = np.zeros((need.shape[0], pools), np.int64)
    is_known = np.zeros(pools, np.bool_)
    for k in range(need.shape[0]):
        is_known[:] = False
        for node in range(whole.shape[0]):
            pool = traits[node, POOL]
            if not _suits(need[k], wants[k], node, whole, traits):
                continue
            if not is_known[pool] or traits[node, WAIT] < found[k, pool]:
                found[k, pool], is_known[pool] = traits[node, WAIT], True
    return found


def warm() -> None:
    """Compile the kernels, or load them: one task of one job on one node."""
    one, each, none = np.ones((1, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)
    known = np.zeros((1, 3), np.int64)
    fill(
        none, each, each, one, none, one, one, each, each, none, one, one, known, one, each, each,
        each,
    )  # fmt: skip
    has_room(one, none, one, one, one, known, one)
    waits(one, none, one, known, 1)


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
def _gather(
    chosen: Ints,
    need: Ints,
    wants: int,
    rank: Ints,
    hold: Ints,
    most: int,
    free: Ints,
    whole: Ints,
    traits: Ints,
    lent: Ints,
) -> int:
    """Put into `chosen` a node for each task of a gang, and take them; or return why not.

    They are of one pool, because a site starts a gang as a whole and knows nothing of another:
    of those that can hold all of it the one that its first task would rather go to.
    """
    may = rank.copy()
    only = np.empty_like(rank)
    while True:
        node = _best_node(need, wants, may, hold, most, free, whole, traits, lent)
        if node < 0:
            return _NOT_WHOLE
        pool, taken = traits[node, POOL], 0
        only[:] = NO_TRADE
        only[pool] = rank[pool]
        while taken < chosen.shape[0] and node >= 0:
            _take(need, 1, node, pool, free, lent)
            chosen[taken] = node
            taken += 1
            node = _best_node(need, wants, only, hold, most, free, whole, traits, lent)
        if taken == chosen.shape[0]:
            return 0
        for at in range(taken):
            _take(need, -1, chosen[at], pool, free, lent)
        may[pool] = NO_TRADE


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _best_node(
    need: Ints,
    wants: int,
    rank: Ints,
    hold: Ints,
    most: int,
    free: Ints,
    whole: Ints,
    traits: Ints,
    lent: Ints,
) -> int:
    """Return the node with room in the pool of lowest rank that costs at most `most` to hold.

    Of a pool's nodes the one that makes it wait least, then the one with the fewest devices free
    (they stay for who needs them), then the fullest; _NO_ROOM or _TOO_DEAR if there is none.
    """
    best, devices = _NO_ROOM, free.shape[1] - 1
    best_rank, best_wait, best_devices, best_free = _LARGEST, 0, 0, 0
    for node in range(free.shape[0]):
        # The cheap question first: most nodes are no better than the best so far.
        pool = traits[node, POOL]
        here, wait = rank[pool], traits[node, WAIT]
        if here == NO_TRADE or here > best_rank:
            continue
        if here == best_rank and (
            (wait, free[node, devices], free[node, 0]) >= (best_wait, best_devices, best_free)
        ):
            continue
        if not _fits(need, node, pool, free, lent) or not _suits(need, wants, node, whole, traits):
            continue
        if hold[pool] <= most:
            best, best_rank, best_wait = node, here, wait
            best_devices, best_free = free[node, devices], free[node, 0]
        elif best < 0:
            best = _TOO_DEAR
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _suits(need: Ints, wants: int, node: int, whole: Ints, traits: Ints) -> bool:
    """Return whether one machine is of the class that is wanted and could hold the task."""
    return bool(
        (not wants or wants == traits[node, CLASS]) and _fits(need, node, node, whole, whole)
    )


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fits(need: Ints, node: int, pool: int, free: Ints, lent: Ints) -> bool:
    for resource in range(need.shape[0]):
        if free[node, resource] < need[resource] or lent[pool, resource] < need[resource]:
            return False
    return True


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _take(need: Ints, sign: int, node: int, pool: int, free: Ints, lent: Ints) -> None:
    for resource in range(need.shape[0]):
        free[node, resource] -= sign * need[resource]
        lent[pool, resource] -= sign * need[resource]
