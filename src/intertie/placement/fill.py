"""Fill: give free capacity to waiting tasks, the project with the least use by weight first.

The kernel. Its specification is `SlowFill` in tests/support/slow_fill.py: functionally the same,
written to be read. What it reads and changes comes in `placement/given.py`'s bundles of columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from intertie.placement.choosing import NO_ROOM, NOT_WHOLE, TOO_DEAR, best_node, choose, suits
from intertie.placement.given import (
    EASY,
    EASY_SJBF,
    FCFS,
    FIRST_FIT,
    LARGEST,
    POOL,
    WAIT,
    Ints,
    Jobs,
    Kept,
    Kins,
    Line,
    Payers,
    Placed,
    Places,
    Releases,
)
from intertie.placement.keeping import in_order, keep, nothing_kept
from intertie.world.compiling import anew, in_place, on_call

# As typed values: what is a literal in one call is compiled apart from every other.
NOW: Any = np.int64(0)
NONE: Any = np.int64(0)
ALL: Any = np.int64(LARGEST)


@anew
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
    line, total = Line(queue, head, end, left, is_over), jobs.tasks.sum()
    none = np.empty((3, total), np.int64)
    placed = Placed(none[0], none[1], none[2])
    count = serve(line, jobs, kins, places, payers, releases, kept, placed, backfill, NOW)
    return placed.job[:count], placed.node[:count]


@on_call
def serve(
    line: Line,
    jobs: Jobs,
    kins: Kins,
    places: Places,
    payers: Payers,
    releases: Releases,
    kept: Kept,
    placed: Placed,
    backfill: int,
    now: int,
) -> int:
    """Place those in line as `fill` says; return how many tasks were placed.

    What is kept already is kept on. Of the line the heads and what is left are written.
    """
    count: int = NONE
    while True:
        job = _next_job(line.queue, line.head, line.end, line.left, jobs.kin, line.is_over, payers)
        if job < 0:
            return count
        k = jobs.kin[job]
        payer, wanted = kins.project[k], line.left[job] if kins.is_gang[k] else 1
        most = min(jobs.budget[job], payers.wallet[payer]) // wanted
        chosen = placed.node[count : count + wanted]
        node = choose(kins, k, most, now + jobs.length[job], places, kept, chosen)
        if node < 0:
            # Room and money only shrink: what holds back one task holds back each of its kin.
            is_poor = node == TOO_DEAR and wanted == 1 and payers.wallet[payer] <= jobs.budget[job]
            # Not before room is kept: a richer one of its kin may yet have it kept.
            is_settled = backfill == FIRST_FIT or kept.at[0] < LARGEST
            line.is_over[k] |= is_settled and (node == NO_ROOM or is_poor)
            line.head[payer] += 1
            if is_settled or node not in (NO_ROOM, NOT_WHOLE):
                continue
            if keep(jobs, kins, k, most, wanted, places, releases, placed, count, now, kept):
                kept.at[1] = job
                if backfill == FCFS:
                    return count
                if backfill == EASY_SJBF:
                    _put_shortest_first(line.queue, line.head, line.end, jobs.length)
            continue
        for at in range(count, count + wanted):
            placed.job[at] = job
            cost = kins.hold[k, places.traits[placed.node[at], POOL]]
            jobs.budget[job] -= cost
            payers.wallet[payer] -= cost
        count += wanted
        line.left[job] -= wanted
        payers.used[payer] += wanted * kins.use[k]


@anew
def has_room(kins: Kins, places: Places) -> NDArray[np.bool_]:
    """Return for each kin whether one task fits some node, whatever it costs; axes [kin]."""
    found = np.zeros(kins.need.shape[0], np.bool_)
    kept = nothing_kept(places)
    for k in range(kins.need.shape[0]):
        node = best_node(kins, k, kins.rank[k], ALL, NOW, places, kept)
        found[k] = node >= 0
    return found


@anew
def waits(need: Ints, wants: Ints, places: Places) -> Ints:
    """Return how long a task of each kin waits at each pool's site at least; axes [kin, pool].

    0 where no machine of the pool could hold it: it does not go there anyway.
    """
    traits = places.traits
    found = np.zeros((need.shape[0], places.lent.shape[0]), np.int64)
    is_known = np.zeros(places.lent.shape[0], np.bool_)
    for k in range(need.shape[0]):
        is_known[:] = False
        for node in range(traits.shape[0]):
            pool = traits[node, POOL]
            if not suits(need, wants, k, node, places):
                continue
            if not is_known[pool] or traits[node, WAIT] < found[k, pool]:
                found[k, pool], is_known[pool] = traits[node, WAIT], True
    return found


def warm() -> None:
    """Compile the kernels, or load them: one task of one job on one node."""
    one, each, none = np.ones((1, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)
    kins = Kins(one, none, one, one, each, each, none)
    places = Places(one, one, np.zeros((1, 3), np.int64), one)
    releases = Releases(each, none, one, none)
    jobs, payers = Jobs(none, each, each, each), Payers(each, each, each)
    fill(jobs, kins, places, payers, releases, nothing_kept(places), EASY)
    has_room(kins, places)
    waits(one, none, places)


@anew
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


@anew
def _put_shortest_first(queue: Ints, head: Ints, end: Ints, length: Ints) -> None:
    """Order what is left of each project's queue by length; of two alike the earlier."""
    for owner in range(end.shape[0]):
        rest = queue[head[owner] : end[owner]].copy()
        for at, row in enumerate(in_order(length[rest])):
            queue[head[owner] + at] = rest[row]


@in_place
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
