"""Keep: room for the first who waits, from the instant at which it would fit.

Kernels, with their specification in `SlowFill` (tests/support/slow_fill.py).
"""

import numpy as np

from intertie.placement.choosing import choose, fits, suits, take
from intertie.placement.given import (
    LARGEST,
    NO_TRADE,
    POOL,
    Ints,
    Jobs,
    Kept,
    Kins,
    Placed,
    Places,
    Releases,
)
from intertie.world.compiling import anew, in_place


@anew
def nothing_kept(places: Places) -> Kept:
    """Return what is kept for nobody."""
    return Kept(np.array([LARGEST, -1]), places.free.copy(), places.lent.copy())


@in_place
def keep(
    jobs: Jobs,
    kins: Kins,
    k: int,
    most: int,
    wanted: int,
    places: Places,
    releases: Releases,
    placed: Placed,
    count: int,
    now: int,
    kept: Kept,
) -> bool:
    """Find the first instant at which the tasks fit, and keep there what they will take.

    Of what runs, and of the `count` placed just now, each gives its room back when it is expected
    to end. Return False where the tasks would not fit an empty network: nothing is kept for them.
    """
    _copy(places.free, kept.free)
    _copy(places.lent, kept.lent)
    then = Places(kept.free, places.whole, places.traits, kept.lent)
    ends, chosen = placed.by_end, placed.node[count : count + wanted]
    ends[:1] = 0
    if count > 1:
        _put_by_end(jobs, placed, count)
    at, new, is_worth = 0, 0, False
    while at < releases.order.shape[0] or new < count:
        due = _due(releases, at, now)
        is_new = new < count and now + jobs.length[placed.job[ends[new]]] < due
        if is_new:
            job, node = placed.job[ends[new]], placed.node[ends[new]]
            due = now + jobs.length[job]
            is_worth |= _give_back(kins, k, most, wanted, kins.need, jobs.kin[job], node, then)
            new += 1
        else:
            row = releases.order[at]
            node = releases.node[row]
            is_worth |= _give_back(kins, k, most, wanted, releases.size, row, node, then)
            at += 1
        if not is_worth or _due(releases, at, now) == due:
            continue
        if new < count and now + jobs.length[placed.job[ends[new]]] == due:
            continue
        if choose(kins, k, most, now, then, kept, chosen) >= 0:
            kept.at[0] = due
            return True
        is_worth = False
    return False


@in_place
def _due(releases: Releases, at: int, now: int) -> int:
    """Return when the next lease gives back what it holds: who is overdue, now."""
    if at == releases.order.shape[0]:
        return LARGEST
    return int(max(now, releases.at[releases.order[at]]))


@anew
def _put_by_end(jobs: Jobs, placed: Placed, count: int) -> None:
    placed.by_end[:count] = in_order(jobs.length[placed.job[:count]])


@in_place
def _give_back(
    kins: Kins, k: int, most: int, wanted: int, size: Ints, row: int, node: int, then: Places
) -> bool:
    """Give size[row] back to a node; return whether so many of a kin may fit now that did not.

    Where it does not, either the node holds none of them, or its pool does not lend enough.
    """
    free, lent, pool = then.free, then.lent, then.traits[node, POOL]
    was_lent = _lends(kins.need, k, wanted, pool, lent)
    take(size, row, -1, node, pool, free, lent)
    if kins.rank[k, pool] == NO_TRADE or kins.hold[k, pool] > most:
        return False
    if not was_lent and _lends(kins.need, k, wanted, pool, lent):
        return True
    return bool(
        fits(kins.need, k, node, pool, free, lent) and suits(kins.need, kins.wants, k, node, then)
    )


@in_place
def _lends(need: Ints, k: int, wanted: int, pool: int, lent: Ints) -> bool:
    for resource in range(need.shape[1]):
        if lent[pool, resource] // wanted < need[k, resource]:
            return False
    return True


@in_place
def _copy(source: Ints, target: Ints) -> None:
    """Copy a table by hand: a slice that is assigned brings the words of its error along."""
    for row in range(source.shape[0]):
        for column in range(source.shape[1]):
            target[row, column] = source[row, column]


@anew
def in_order(keys: Ints) -> Ints:
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
