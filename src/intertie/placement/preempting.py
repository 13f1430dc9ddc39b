"""Preempt: owners take back room on their own pool, so that the least work of guests is lost.

The kernel; its specification is `SlowPreempt` in tests/support/slow_preempt.py. An owner's jobs see
what guests hold as free: in their own order, with their own backfill, they start as if they were
alone. What then stands in the way of one of them is ended, and no more of it than must be. None is
sent away to be somebody's guest instead: only so it is true that lending costs an owner's users no
more than the grace.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from intertie.placement.choosing import choose, suits, take
from intertie.placement.given import LARGEST, POOL, Ints, Jobs, Kins, Places
from intertie.placement.keeping import in_order, nothing_kept

# When a claim starts: at once, when what leaves has left, or when guests were told to leave.
NOW, SOON, TAKEN = 0, 1, 2
# What is lost is compared by cross-multiplication with thousandths: larger counts as this.
LOSS_MAX = 2**44
_SHARE = 1000

Mask = NDArray[np.bool_]


class Guests(NamedTuple):
    """What runs on pools of others; axes [guest].

    Each holds size[guest, resource] at its node. Those of one group end together; `loss` is what a
    group loses that ends now, in one unit for all, below LOSS_MAX.
    """

    node: Ints
    size: Ints
    group: Ints
    loss: Ints


class Claims(NamedTuple):
    """Tasks of owners in the order in which they would start alone; axes [task].

    The row of the job, the node where it would go, and when: NOW, SOON or TAKEN.
    """

    job: Ints
    node: Ints
    when: Ints


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def with_leaving(places: Places, leaving: Ints) -> Places:
    """Return what will be free when what leaves[node, resource] has left."""
    free, lent = places.free.copy(), places.lent.copy()
    for node in range(free.shape[0]):
        take(leaving, node, -1, node, places.traits[node, POOL], free, lent)
    return Places(free, places.whole, places.traits, lent)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def without_guests(soon: Places, guests: Guests) -> Places:
    """Return what owners would have if there were no guests: a fill of it says who should start."""
    alone = Places(soon.free.copy(), soon.whole, soon.traits, soon.lent.copy())
    _move(np.arange(guests.node.shape[0]), -1, guests, alone)
    return alone


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def claim(
    rows: Ints, nodes: Ints, jobs: Jobs, own: Kins, places: Places, soon: Places, wallet: Ints
) -> Claims:
    """Return the claims of owners' tasks, which a fill would place so if there were no guests.

    `own.rank` is of owners' pools alone. Room is taken from places and from `soon`, below zero
    where guests are in the way: until they have left nobody else comes in. What starts now is paid
    from the job's budget and its project's wallet.
    """
    when, nobody = np.empty(rows.shape[0], np.int64), nothing_kept(places)
    at = 0
    while at < rows.shape[0]:
        k = jobs.kin[rows[at]]
        last = at + (jobs.tasks[rows[at]] if own.is_gang[k] else 1)
        chosen = nodes[at:last]
        if choose(own, k, LARGEST, 0, places, nobody, chosen) >= 0:
            when[at:last] = NOW
            _book(own, k, 1, chosen, soon)
            _pay(own, k, rows[at], chosen, jobs, places, wallet)
        elif choose(own, k, LARGEST, 0, soon, nobody, chosen) >= 0:
            when[at:last] = SOON
            _book(own, k, 1, chosen, places)
        else:
            when[at:last] = TAKEN
            _book(own, k, 1, chosen, places)
            _book(own, k, 1, chosen, soon)
        at = last
    return Claims(rows, nodes, when)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def take_back(
    claims: Claims, jobs: Jobs, own: Kins, places: Places, soon: Places, guests: Guests
) -> tuple[Claims, Mask]:
    """Return the claims that are met, and which guests are to end for them; axes [guest].

    Claims that guests are in the way of take their room back, each where the least is lost for it.
    One that does not fit even so is left out, and ends nobody.
    """
    gone = np.zeros(guests.node.shape[0], np.bool_)
    is_met, nobody = np.ones(claims.job.shape[0], np.bool_), nothing_kept(places)
    at = 0
    while at < claims.job.shape[0]:
        k = jobs.kin[claims.job[at]]
        last = at + (jobs.tasks[claims.job[at]] if own.is_gang[k] else 1)
        chosen = claims.node[at:last]
        if claims.when[at] == TAKEN:
            _book(own, k, -1, chosen, places)
            _book(own, k, -1, chosen, soon)
            pool = places.traits[chosen[0], POOL]
            if _make_room(own, k, last - at, pool, soon, guests, gone):
                choose(own, k, LARGEST, 0, soon, nobody, chosen)
                _book(own, k, 1, chosen, places)
            else:
                is_met[at:last] = False
        at = last
    _spare(soon, guests, gone)
    return Claims(claims.job[is_met], claims.node[is_met], claims.when[is_met]), gone


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _pay(
    kins: Kins, k: int, job: int, nodes: Ints, jobs: Jobs, places: Places, wallet: Ints
) -> None:
    for node in nodes:
        cost = kins.hold[k, places.traits[node, POOL]]
        jobs.budget[job] -= cost
        wallet[kins.project[k]] -= cost


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _spare(soon: Places, guests: Guests, gone: Mask) -> None:
    """Let those stay who after all fit what is left: of all that are to end who would lose most."""
    for row in in_order(-guests.loss):
        if not gone[row]:
            continue
        members = np.flatnonzero(gone & (guests.group == guests.group[row]))
        _move(members, 1, guests, soon)
        is_needed = False
        for member in members:
            node = guests.node[member]
            for resource in range(guests.size.shape[1]):
                is_needed |= soon.free[node, resource] < 0
                is_needed |= soon.lent[soon.traits[node, POOL], resource] < 0
        if is_needed:
            _move(members, -1, guests, soon)
        else:
            gone[members] = False


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _move(rows: Ints, sign: int, guests: Guests, places: Places) -> None:
    """Let guests take their room, or give it back."""
    for row in rows:
        pool = places.traits[guests.node[row], POOL]
        take(guests.size, row, sign, guests.node[row], pool, places.free, places.lent)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _book(kins: Kins, k: int, sign: int, nodes: Ints, places: Places) -> None:
    """Take room for a task at each node, below zero where there is none, or give it back."""
    for node in nodes:
        take(kins.need, k, sign, node, places.traits[node, POOL], places.free, places.lent)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _make_room(
    own: Kins, k: int, wanted: int, pool: int, soon: Places, guests: Guests, gone: Mask
) -> bool:
    """Mark who must go so that the tasks fit the pool, and free it; False, nobody, if none helps.

    Again and again the next task goes where the least is lost for it. Bounded by the tasks times
    the pool's nodes times the square of its guests.
    """
    need, here = own.need[k], np.flatnonzero(soon.traits[:, POOL] == pool)
    room, lent = soon.free[here], soon.lent[pool : pool + 1].copy()
    for at in range(here.shape[0]):
        if not suits(own.need, own.wants, k, here[at], soon):
            room[at] = -LARGEST // 2  # no machine of it could hold a task, whoever goes
    where = np.searchsorted(here, guests.node)
    is_there = (soon.traits[guests.node, POOL] == pool) & ~gone
    stays = is_there.copy()
    while _count(need, room, lent[0]) < wanted:
        found = _least_lost(need, wanted, room, lent[0], where, stays, guests)
        if not found.any():
            return False
        for row in range(found.shape[0]):
            if found[row]:
                take(guests.size, row, -1, where[row], 0, room, lent)
                stays[row] = False
    for row in range(stays.shape[0]):
        if is_there[row] and not stays[row]:
            take(guests.size, row, -1, guests.node[row], pool, soon.free, soon.lent)
            gone[row] = True
    return True


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _count(need: Ints, room: Ints, lent: Ints) -> int:
    """Return how many tasks of one size fit the nodes of a pool and what its owner lends."""
    found = 0
    for node in range(room.shape[0]):
        found += _times(need, room[node])
    return min(found, _times(need, lent))


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _times(need: Ints, room: Ints) -> int:
    found = LARGEST // 2**32
    for resource in range(need.shape[0]):
        if need[resource] > 0:
            found = min(found, max(0, room[resource] // need[resource]))
        elif room[resource] < 0:
            found = 0
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _least_lost(
    need: Ints, wanted: int, room: Ints, lent: Ints, where: Ints, stays: Mask, guests: Guests
) -> Mask:
    """Return whose end makes room for one more task at the least loss; nobody if none can.

    Of two nodes alike the one where fewer must go, then the first. Where nodes have room for all
    that is wanted, it is the owner's bound that is short.
    """
    best, least, fewest = np.zeros(stays.shape[0], np.bool_), LARGEST, LARGEST
    held = 0
    for node in range(room.shape[0]):
        held += _times(need, room[node])
    if held >= wanted:
        best = _cover(np.maximum(0, wanted * need - lent), stays, guests)
    for node in range(room.shape[0] if held < wanted else 0):
        short = (1 + _times(need, room[node])) * need - room[node]
        found = _cover(np.maximum(0, short), stays & (where == node), guests)
        if found.any():
            loss, count = int(guests.loss[found].sum()), int(found.sum())
            if loss < least or (loss == least and count < fewest):
                best, least, fewest = found, loss, count
    # Those of a gang end together, wherever they run.
    for row in np.flatnonzero(best):
        for other in range(stays.shape[0]):
            best[other] |= stays[other] and guests.group[other] == guests.group[row]
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _cover(short: Ints, who: Mask, guests: Guests) -> Mask:
    """Return of whom to end so that nothing is short: nobody if all of them are not enough.

    The group with the least loss for each thousandth of what is short, again and again; or a
    single one that is enough, if no more is lost so.
    """
    picked, left, loss = np.zeros(who.shape[0], np.bool_), short.copy(), 0
    rows, sizes = _groups(who, guests)
    single = -1
    for at in range(rows.shape[0]):
        if _is_covered(short - sizes[at]) and (
            single < 0 or guests.loss[rows[at]] < guests.loss[single]
        ):
            single = rows[at]
    while not _is_covered(left):
        best, most = -1, 0
        for at in range(rows.shape[0]):
            gain = 0 if picked[rows[at]] else _gain(sizes[at], left)
            if gain and (best < 0 or guests.loss[rows[at]] * most < guests.loss[rows[best]] * gain):
                best, most = at, gain
        if best < 0:
            return np.zeros(who.shape[0], np.bool_)
        picked[rows[best]] = True
        left -= sizes[best]
        loss += guests.loss[rows[best]]
    if single >= 0 and guests.loss[single] <= loss:
        picked[:] = False
        picked[single] = True
    return picked


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _groups(who: Mask, guests: Guests) -> tuple[Ints, Ints]:
    """Return the first row of each group of these, and what the group holds here in all."""
    rows, sizes = np.flatnonzero(who), guests.size[who]
    count = 0
    for row in rows:
        at = count - 1
        while at >= 0 and guests.group[rows[at]] != guests.group[row]:
            at -= 1
        if at >= 0:
            sizes[at] += guests.size[row]
        else:
            rows[count], sizes[count] = row, guests.size[row]
            count += 1
    return rows[:count], sizes[:count]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _gain(size: Ints, short: Ints) -> int:
    """Return thousandths of what is short that this much gives, rounded up, over all resources."""
    found = 0
    for resource in range(short.shape[0]):
        if short[resource] > 0:
            part = min(size[resource], short[resource])
            found += -(-_SHARE * part // short[resource])
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _is_covered(short: Ints) -> bool:
    return bool(short.max() <= 0)
