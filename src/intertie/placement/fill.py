"""Fill: give free capacity to waiting tasks, the project with the least use by weight first.

The kernel. Its specification is `SlowFill` in tests/unit/test_fill.py: functionally the same,
written to be read. What it reads and changes comes in `placement/given.py`'s bundles of columns.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from intertie.placement.given import (
    CLASS,
    EASY,
    EASY_SJBF,
    FCFS,
    FIRST_FIT,
    LARGEST,
    NO_TRADE,
    POOL,
    WAIT,
    Ints,
    Jobs,
    Kept,
    Kins,
    Payers,
    Places,
    Releases,
)

# Why no node was found: none has room, those with room cost more than may be set aside, no pool
# alone has room for all of a gang, or what has room is kept for the first who found none.
_NO_ROOM, _TOO_DEAR, _NOT_WHOLE, _IS_KEPT = -1, -2, -3, -4


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fill(
    jobs: Jobs,
    kins: Kins,
    places: Places,
    payers: Payers,
    releases: Releases,
    kept: Kept,
    backfill: int,
) -> tuple[Ints, Ints]:
    """Return (job, node) of each task placed, in the order they were placed; axes [placed].

    A task goes only where budget and wallet hold for it; of a gang each task only where they would
    hold for all of its tasks, and it is placed whole on one pool or left. A job that finds no node
    steps aside. Behind the first that finds no room, though it could have some later, FCFS places
    nobody and FIRST_FIT anybody; EASY keeps room for it from the instant at which it would fit, and
    places only those who are gone by then or leave enough, in their order, EASY_SJBF the shortest
    first (Lifka 1995; Tsafrir et al. 2007).

    What is placed is taken from budget, places and wallet and added to used, in the arrays given;
    what is kept is written into `kept`. Bounded by the number of tasks, times that of pools for a
    gang, plus jobs, plus for what is kept the releases times the nodes.
    """
    left, is_over = jobs.tasks.copy(), np.zeros(kins.need.shape[0], np.bool_)
    queue, head, end = _queues(jobs.kin, kins.project, payers.used.shape[0])
    total = jobs.tasks.sum()
    placed_job, placed_node = np.empty(total, np.int64), np.empty(total, np.int64)
    placed = 0
    while True:
        job = _next_job(queue, head, end, left, jobs.kin, is_over, payers)
        if job < 0:
            break
        k, length = jobs.kin[job], jobs.length[job]
        payer, wanted = kins.project[k], left[job] if kins.is_gang[k] else 1
        most = min(jobs.budget[job], payers.wallet[payer]) // wanted
        rank = kins.rank[k]
        chosen = placed_node[placed : placed + wanted]
        node = _choose(kins, k, rank, most, length, places, kept, chosen)
        if node < 0:
            # Room and money only shrink: what holds back one task holds back each of its kin.
            is_poor = node == _TOO_DEAR and wanted == 1 and payers.wallet[payer] <= jobs.budget[job]
            # Not before room is kept: a richer one of its kin may yet have it kept.
            is_settled = backfill == FIRST_FIT or kept.at[0] < LARGEST
            is_over[k] |= is_settled and (node == _NO_ROOM or is_poor)
            left[job] = 0
            if backfill != FIRST_FIT and kept.at[0] == LARGEST and node in (_NO_ROOM, _NOT_WHOLE):
                done = (placed_job[:placed], placed_node[:placed])
                if _keep(jobs, kins, k, most, wanted, places, releases, done, kept):
                    kept.at[1] = job
                    if backfill == FCFS:
                        break
                    if backfill == EASY_SJBF:
                        _put_shortest_first(queue, head, end, jobs.length)
            continue
        for at in range(placed, placed + wanted):
            placed_job[at] = job
            cost = kins.hold[k, places.traits[placed_node[at], POOL]]
            jobs.budget[job] -= cost
            payers.wallet[payer] -= cost
        placed += wanted
        left[job] -= wanted
        payers.used[payer] += wanted * kins.use[k]
    return placed_job[:placed], placed_node[:placed]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def has_room(kins: Kins, places: Places) -> NDArray[np.bool_]:
    """Return for each kin whether one task fits some node, whatever it costs; axes [kin]."""
    found = np.zeros(kins.need.shape[0], np.bool_)
    kept = nothing_kept(places)
    for k in range(kins.need.shape[0]):
        node = _best_node(kins, k, kins.rank[k], LARGEST, 0, places, kept)
        found[k] = node >= 0
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def waits(need: Ints, wants: Ints, places: Places) -> Ints:
    """Return how long a task of each kin waits at each pool's site at least; axes [kin, pool].

    0 where no machine of the pool could hold it: it does not go there anyway.
    """
    whole, traits = places.whole, places.traits
    found = np.zeros((need.shape[0], places.lent.shape[0]), np.int64)
    is_known = np.zeros(places.lent.shape[0], np.bool_)
    for k in range(need.shape[0]):
        is_known[:] = False
        for node in range(whole.shape[0]):
            pool = traits[node, POOL]
            if not _suits(need[k], wants[k], node, whole, traits):
                continue
            if not is_known[pool] or traits[node, WAIT] < found[k, pool]:
                found[k, pool], is_known[pool] = traits[node, WAIT], True
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def nothing_kept(places: Places) -> Kept:
    """Return what is kept for nobody."""
    return Kept(np.array([LARGEST, -1]), places.free.copy(), places.lent.copy())


def warm() -> None:
    """Compile the kernels, or load them: one task of one job on one node."""
    one, each, none = np.ones((1, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)
    kins = Kins(one, none, one, one, each, each, none)
    places = Places(one, one, np.zeros((1, 3), np.int64), one)
    releases = Releases(each, none, one)
    jobs, payers = Jobs(none, each, each, each), Payers(each, each, each)
    fill(jobs, kins, places, payers, releases, nothing_kept(places), EASY)
    has_room(kins, places)
    waits(one, none, places)


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
def _put_shortest_first(queue: Ints, head: Ints, end: Ints, length: Ints) -> None:
    """Order what is left of each project's queue by length; of two alike the earlier."""
    for owner in range(end.shape[0]):
        rest = queue[head[owner] : end[owner]].copy()
        for at, row in enumerate(_in_order(length[rest])):
            queue[head[owner] + at] = rest[row]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _in_order(keys: Ints) -> Ints:
    """Return the rows by their keys, of two alike the earlier: a merge sort from below.

    np.argsort does it too, and takes longer to compile than all the rest.
    """
    rows, spare = np.arange(keys.shape[0]), np.empty(keys.shape[0], np.int64)
    width = 1
    while width < rows.shape[0]:
        for first in range(0, rows.shape[0], 2 * width):
            middle, last = min(first + width, rows.shape[0]), min(first + 2 * width, rows.shape[0])
            one, other = first, middle
            for at in range(first, last):
                if other >= last or (one < middle and keys[rows[one]] <= keys[rows[other]]):
                    spare[at] = rows[one]
                    one += 1
                else:
                    spare[at] = rows[other]
                    other += 1
        rows, spare = spare, rows
        width *= 2
    return rows


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_job(
    queue: Ints,
    head: Ints,
    end: Ints,
    left: Ints,
    kin: Ints,
    is_over: NDArray[np.bool_],
    payers: Payers,
) -> int:
    """Return the first waiting job of the project with the least use by weight, or -1.

    Compared as used_a * weight_b < used_b * weight_a, so that nothing is rounded; the earlier of
    two jobs where both are alike.
    """
    used, weight = payers.used, payers.weight
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
def _keep(
    jobs: Jobs,
    kins: Kins,
    k: int,
    most: int,
    wanted: int,
    places: Places,
    releases: Releases,
    done: tuple[Ints, Ints],
    kept: Kept,
) -> bool:
    """Find the first instant at which the tasks fit, and keep there what they will take.

    Of what runs, and of what was placed just now, each gives its room back when it is expected to
    end. Return False where the tasks would not fit an empty network: nothing is kept for them.
    """
    free, lent = places.free.copy(), places.lent.copy()
    then = Places(free, places.whole, places.traits, lent)
    running, chosen = releases.at.shape[0], np.empty(wanted, np.int64)
    ends = np.empty(running + done[0].shape[0], np.int64)
    for at in range(ends.shape[0]):
        ends[at] = releases.at[at] if at < running else jobs.length[done[0][at - running]]
    order, nobody = _in_order(ends), Kept(np.full(1, LARGEST), free, lent)
    is_worth = False
    for at, which in enumerate(order):
        is_new = which >= running
        node = done[1][which - running] if is_new else releases.node[which]
        size = kins.need[jobs.kin[done[0][which - running]]] if is_new else releases.size[which]
        pool = places.traits[node, POOL]
        _take(size, -1, node, pool, free, lent)
        is_worth |= kins.rank[k, pool] != NO_TRADE
        is_last = at + 1 == order.shape[0] or ends[order[at + 1]] > ends[which]
        if not is_last or not is_worth:
            continue
        if _choose(kins, k, kins.rank[k], most, 0, then, nobody, chosen) >= 0:
            kept.at[0] = ends[which]
            _copy(free, kept.free)
            _copy(lent, kept.lent)
            return True
        is_worth = False
    return False


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _copy(source: Ints, target: Ints) -> None:
    """Copy a table by hand: a slice that is assigned brings the words of its error along."""
    for row in range(source.shape[0]):
        for column in range(source.shape[1]):
            target[row, column] = source[row, column]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _choose(
    kins: Kins,
    k: int,
    rank: Ints,
    most: int,
    length: int,
    places: Places,
    kept: Kept,
    chosen: Ints,
) -> int:
    """Put into `chosen` a node for each task of a job, and take them; or return why not.

    Those of a gang are of one pool, because a site starts a gang as a whole and knows nothing of
    another: of those that can hold all of it the one that its first task would rather go to.
    """
    node = _best_node(kins, k, rank, most, length, places, kept)
    if node < 0 or chosen.shape[0] == 1:
        if node >= 0:
            _book(kins.need[k], 1, node, length, places, kept)
            chosen[0] = node
        return node
    may, only = rank.copy(), np.empty_like(rank)
    while node >= 0:
        pool, taken = places.traits[node, POOL], 0
        only[:] = NO_TRADE
        only[pool] = rank[pool]
        while taken < chosen.shape[0] and node >= 0:
            _book(kins.need[k], 1, node, length, places, kept)
            chosen[taken] = node
            taken += 1
            node = _best_node(kins, k, only, most, length, places, kept)
        if taken == chosen.shape[0]:
            return int(chosen[0])
        for at in range(taken):
            _book(kins.need[k], -1, chosen[at], length, places, kept)
        may[pool] = NO_TRADE
        node = _best_node(kins, k, may, most, length, places, kept)
    return _NOT_WHOLE


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _best_node(
    kins: Kins, k: int, rank: Ints, most: int, length: int, places: Places, kept: Kept
) -> int:
    """Return the node with room in the pool of lowest rank that costs at most `most` to hold.

    Of a pool's nodes the one that makes it wait least, then the one with the fewest devices free
    (they stay for who needs them), then the fullest; or why there is none.
    """
    need, free, lent, traits = kins.need[k], places.free, places.lent, places.traits
    best, devices, lasts = _NO_ROOM, free.shape[1] - 1, length > kept.at[0]
    best_rank, best_wait, best_devices, best_free = LARGEST, 0, 0, 0
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
        if not _fits(need, node, pool, free, lent):
            continue
        if not _suits(need, kins.wants[k], node, places.whole, traits):
            continue
        if lasts and not _fits(need, node, pool, kept.free, kept.lent):
            best = _IS_KEPT if best == _NO_ROOM else best
        elif kins.hold[k, pool] <= most:
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
def _book(need: Ints, sign: int, node: int, length: int, places: Places, kept: Kept) -> None:
    """Take room now, and from what is kept for later where it is still needed then."""
    pool = places.traits[node, POOL]
    _take(need, sign, node, pool, places.free, places.lent)
    if length > kept.at[0]:
        _take(need, sign, node, pool, kept.free, kept.lent)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _take(need: Ints, sign: int, node: int, pool: int, free: Ints, lent: Ints) -> None:
    for resource in range(need.shape[0]):
        free[node, resource] -= sign * need[resource]
        lent[pool, resource] -= sign * need[resource]
