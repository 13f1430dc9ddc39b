"""Fill: give free capacity to waiting tasks, in the turns of `placement/shares.py`.

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
from intertie.placement.shares import (
    NOBODY,
    Turn,
    flat,
    is_within_quota,
    next_job,
    nobody_yet,
    take,
)
from intertie.world.compiling import anew, in_place

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
    now: int = NOW,
) -> tuple[Ints, Ints]:
    """Return (job, node) of each task placed, in the order they were placed; axes [placed].

    A task goes only where quota, budget and wallet hold for it; of a gang each task only where they
    would hold for all of its tasks, and it is placed whole on one pool or left. A job that may not
    be placed steps aside. Behind the first that finds no room, though it could have some later,
    FCFS places nobody and FIRST_FIT anybody; EASY keeps room for it from the instant at which it
    would fit, and places only those who are gone by then or leave enough, in their order, EASY_SJBF
    the shortest first (Lifka 1995; Tsafrir et al. 2007).

    What is placed is taken from budget, places and wallet and added to what is used and held, in
    the arrays given; what is kept is written into `kept`. Bounded by the number of tasks, times
    that of pools for a gang, plus jobs, plus for what is kept the releases times the nodes.
    """
    left, is_over = jobs.tasks.copy(), np.zeros(kins.need.shape[0], np.bool_)
    head, end = _queues(jobs.kin, kins.project, payers.wallet.shape[0])
    line, total = Line(payers.queue.copy(), head, end, left, is_over), jobs.tasks.sum()
    none = np.empty((3, total), np.int64)
    placed = Placed(none[0], none[1], none[2])
    turn = nobody_yet(payers.used.shape[0])
    at: Any = np.int64(now)
    count = serve(line, turn, jobs, kins, places, payers, releases, kept, placed, backfill, at)
    return placed.job[:count], placed.node[:count]


@in_place
def serve(
    line: Line,
    turn: Turn,
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
    payer = NOBODY
    while True:
        job = next_job(payers, line, jobs.kin, kins.is_gang, turn, payer)
        if job == NOBODY:
            return count
        k = jobs.kin[job]
        payer, wanted = kins.project[k], line.left[job] if kins.is_gang[k] else 1
        if not is_within_quota(payers.tree, payer, payers.takes.amount[k], wanted):
            line.is_over[k] |= wanted == 1
            line.head[payer] += 1
            continue
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
                    payer = NOBODY
            continue
        for at in range(count, count + wanted):
            placed.job[at] = job
            cost = kins.hold[k, places.traits[placed.node[at], POOL]]
            jobs.budget[job] -= cost
            payers.wallet[payer] -= cost
        count += wanted
        line.left[job] -= wanted
        take(payers, payer, k, wanted, kins.use[k])


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
    jobs, payers = Jobs(none, each, each, each), flat(each, each, each, none, 1)
    fill(jobs, kins, places, payers, releases, nothing_kept(places), EASY)
    has_room(kins, places)
    waits(one, none, places)


@anew
def _queues(kin: Ints, project: Ints, projects: int) -> tuple[Ints, Ints]:
    """Return where each project's part of the queue begins and ends."""
    end = np.zeros(projects, np.int64)
    for job in range(kin.shape[0]):
        end[project[kin[job]]] += 1
    end = np.cumsum(end)
    head = np.zeros(projects, np.int64)
    head[1:] = end[:-1]
    return head, end


@anew
def _put_shortest_first(queue: Ints, head: Ints, end: Ints, length: Ints) -> None:
    """Order what is left of each project's queue by length; of two alike the earlier."""
    for owner in range(end.shape[0]):
        rest = queue[head[owner] : end[owner]].copy()
        for at, row in enumerate(in_order(length[rest])):
            queue[head[owner] + at] = rest[row]
