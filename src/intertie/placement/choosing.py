"""Choose: which node takes a task, or why none does; and the book-keeping of room.

Kernels, with their specification in `SlowFill` (tests/support/slow_fill.py).
"""

import numpy as np

from intertie.placement.given import (
    CLASS,
    LARGEST,
    NO_TRADE,
    POOL,
    WAIT,
    Ints,
    Kept,
    Kins,
    Places,
)
from intertie.world.compiling import anew, in_place

# Why no node was found: none has room, those with room cost more than may be set aside, no pool
# alone has room for all of a gang, or what has room is kept for the first who found none.
NO_ROOM, TOO_DEAR, NOT_WHOLE, IS_KEPT = -1, -2, -3, -4


@in_place
def choose(
    kins: Kins, k: int, most: int, until: int, places: Places, kept: Kept, chosen: Ints
) -> int:
    """Put into `chosen` a node for each task of a job, and take them; or return why not.

    Those of a gang are of one pool, because a site starts a gang as a whole and knows nothing of
    another: of those that can hold all of it the one that its first task would rather go to.
    """
    rank = kins.rank[k]
    node = best_node(kins, k, rank, most, until, places, kept)
    if node < 0 or chosen.shape[0] == 1:
        if node >= 0:
            book(kins.need, k, 1, node, until, places, kept)
            chosen[0] = node
        return node
    return _choose_pool(kins, k, node, most, until, places, kept, chosen)


@anew
def _choose_pool(
    kins: Kins, k: int, node: int, most: int, until: int, places: Places, kept: Kept, chosen: Ints
) -> int:
    """Choose for a gang, whose first task would rather go to `node`."""
    rank = kins.rank[k]
    may, only = rank.copy(), np.empty_like(rank)
    while node >= 0:
        pool, taken = places.traits[node, POOL], 0
        only[:] = NO_TRADE
        only[pool] = rank[pool]
        while taken < chosen.shape[0] and node >= 0:
            book(kins.need, k, 1, node, until, places, kept)
            chosen[taken] = node
            taken += 1
            node = best_node(kins, k, only, most, until, places, kept)
        if taken == chosen.shape[0]:
            return int(chosen[0])
        for at in range(taken):
            book(kins.need, k, -1, chosen[at], until, places, kept)
        may[pool] = NO_TRADE
        node = best_node(kins, k, may, most, until, places, kept)
    return NOT_WHOLE


@in_place
def best_node(
    kins: Kins, k: int, rank: Ints, most: int, until: int, places: Places, kept: Kept
) -> int:
    """Return the node with room in the pool of lowest rank that costs at most `most` to hold.

    Of a pool's nodes the first in the order of `is_better`; or why there is none.
    """
    need, free, lent, traits = kins.need, places.free, places.lent, places.traits
    best, best_rank, lasts = NO_ROOM, LARGEST, until > kept.at[0]
    for node in range(free.shape[0]):
        # The cheap question first: most nodes are no better than the best so far.
        pool = traits[node, POOL]
        here = rank[pool]
        if here == NO_TRADE or here > best_rank:
            continue
        if here == best_rank and not is_better(places, node, best):
            continue
        if not fits(need, k, node, pool, free, lent) or not suits(
            kins.need, kins.wants, k, node, places
        ):
            continue
        if lasts and not fits(need, k, node, pool, kept.free, kept.lent):
            best = IS_KEPT if best == NO_ROOM else best
        elif kins.hold[k, pool] <= most:
            best, best_rank = node, here
        elif best < 0:
            best = TOO_DEAR
    return best


@in_place
def is_better(places: Places, one: int, other: int) -> bool:
    """Return whether of two nodes alike in rank a task rather goes to the one: never to its like.

    To the one that makes it wait least, then to the one with the fewest devices free (they stay for
    who needs them), then to the fullest.
    """
    free, traits = places.free, places.traits
    if traits[one, WAIT] != traits[other, WAIT]:
        return bool(traits[one, WAIT] < traits[other, WAIT])
    devices = free.shape[1] - 1
    if free[one, devices] != free[other, devices]:
        return bool(free[one, devices] < free[other, devices])
    for resource in range(devices):
        if free[one, resource] != free[other, resource]:
            return bool(free[one, resource] < free[other, resource])
    return False


@in_place
def suits(need: Ints, wants: Ints, k: int, node: int, places: Places) -> bool:
    """Return whether one machine is of the class that is wanted and could hold the task."""
    is_class = not wants[k] or wants[k] == places.traits[node, CLASS]
    return bool(is_class and fits(need, k, node, node, places.whole, places.whole))


@in_place
def fits(need: Ints, k: int, node: int, pool: int, free: Ints, lent: Ints) -> bool:
    """Return whether need[k] is free at a node, and lent by its pool."""
    for resource in range(need.shape[1]):
        least = need[k, resource]
        if free[node, resource] < least or lent[pool, resource] < least:
            return False
    return True


@in_place
def book(need: Ints, k: int, sign: int, node: int, until: int, places: Places, kept: Kept) -> None:
    """Take room now, and from what is kept for later where it is still needed then."""
    pool = places.traits[node, POOL]
    take(need, k, sign, node, pool, places.free, places.lent)
    if until > kept.at[0]:
        take(need, k, sign, node, pool, kept.free, kept.lent)


@in_place
def take(size: Ints, row: int, sign: int, node: int, pool: int, free: Ints, lent: Ints) -> None:
    """Take size[row] from a node and its pool; give it back where `sign` is -1."""
    for resource in range(size.shape[1]):
        free[node, resource] -= sign * size[row, resource]
        lent[pool, resource] -= sign * size[row, resource]
