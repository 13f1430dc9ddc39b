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
    for row in range(guests.node.shape[0]):
        _move(guests, row, -1, alone)
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
        chosen, starts = nodes[at:last], TAKEN
        if choose(own, k, LARGEST, 0, places, nobody, chosen) >= 0:
            starts = NOW
            for node in chosen:
                cost = own.hold[k, places.traits[node, POOL]]
                jobs.budget[rows[at]] -= cost
                wallet[own.project[k]] -= cost
        elif choose(own, k, LARGEST, 0, soon, nobody, chosen) >= 0:
            starts = SOON
        if starts != NOW:
            _book(own, k, 1, chosen, places)
        if starts != SOON:
            _book(own, k, 1, chosen, soon)
        for task in range(at, last):
            when[task] = starts
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
    gone, nobody = np.zeros(guests.node.shape[0], np.bool_), nothing_kept(places)
    at, met = 0, 0
    while at < claims.job.shape[0]:
        k, starts = jobs.kin[claims.job[at]], claims.when[at]
        last = at + (jobs.tasks[claims.job[at]] if own.is_gang[k] else 1)
        chosen, is_met = claims.node[at:last], True
        if starts == TAKEN:
            _book(own, k, -1, chosen, places)
            _book(own, k, -1, chosen, soon)
            pool = places.traits[chosen[0], POOL]
            is_met = _make_room(own, k, last - at, pool, soon, guests, gone)
            if is_met:
                choose(own, k, LARGEST, 0, soon, nobody, chosen)
                _book(own, k, 1, chosen, places)
        for task in range(at, last if is_met else at):
            claims.job[met], claims.node[met] = claims.job[task], claims.node[task]
            claims.when[met] = starts
            met += 1
        at = last
    _spare(soon, guests, gone)
    return Claims(claims.job[:met], claims.node[:met], claims.when[:met]), gone


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _spare(soon: Places, guests: Guests, gone: Mask) -> None:
    """Let those stay who after all fit what is left: of all that are to end who would lose most."""
    count = gone.shape[0]
    keys = np.empty(count, np.int64)
    for row in range(count):
        keys[row] = -guests.loss[row]
    for row in in_order(keys):
        is_needed = not gone[row]
        for other in range(0 if is_needed else count):
            if gone[other] and guests.group[other] == guests.group[row]:
                _move(guests, other, 1, soon)
        for other in range(0 if is_needed else count):
            if gone[other] and guests.group[other] == guests.group[row]:
                is_needed |= _is_short(guests.node[other], soon)
        for other in range(count if gone[row] else 0):
            if gone[other] and guests.group[other] == guests.group[row]:
                if is_needed:
                    _move(guests, other, -1, soon)
                elif other != row:
                    gone[other] = False
        gone[row] &= is_needed


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _is_short(node: int, places: Places) -> bool:
    """Return whether a node or its pool has less than nothing left."""
    pool = places.traits[node, POOL]
    for resource in range(places.free.shape[1]):
        if places.free[node, resource] < 0 or places.lent[pool, resource] < 0:
            return True
    return False


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _move(guests: Guests, row: int, sign: int, places: Places) -> None:
    """Let a guest take its room, or give it back."""
    node = guests.node[row]
    take(guests.size, row, sign, node, places.traits[node, POOL], places.free, places.lent)


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
    trial = Places(soon.free.copy(), soon.whole, soon.traits, soon.lent.copy())
    marked = gone.copy()
    while True:
        held = _held(own, k, pool, trial)
        if min(held, _times(own.need, k, trial.lent, pool)) >= wanted:
            break
        found = _least_lost(own, k, wanted, held, pool, trial, guests, marked)
        if not found.shape[0]:
            return False
        for first in found:
            for row in range(marked.shape[0]):
                if not marked[row] and guests.group[row] == guests.group[first]:
                    marked[row] = True
                    _move(guests, row, -1, trial)
    for row in range(marked.shape[0]):
        if marked[row] and not gone[row]:
            _move(guests, row, -1, soon)
            gone[row] = True
    return True


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _held(own: Kins, k: int, pool: int, places: Places) -> int:
    """Return how many tasks of a kin the nodes of a pool could hold, whatever is lent of them."""
    found = 0
    for node in range(places.free.shape[0]):
        if places.traits[node, POOL] == pool and suits(own.need, own.wants, k, node, places):
            found += _times(own.need, k, places.free, node)
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _times(need: Ints, k: int, room: Ints, row: int) -> int:
    """Return how often need[k] goes into room[row]."""
    found = LARGEST // 2**32
    for resource in range(need.shape[1]):
        if need[k, resource] > 0:
            found = min(found, max(0, room[row, resource] // need[k, resource]))
        elif room[row, resource] < 0:
            found = 0
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _least_lost(
    own: Kins,
    k: int,
    wanted: int,
    held: int,
    pool: int,
    trial: Places,
    guests: Guests,
    marked: Mask,
) -> Ints:
    """Return whose end makes room for one more task at the least loss: the first of each group.

    Nobody if none can. Of two nodes alike the one where fewer must go, then the first. Where nodes
    have room for all that is wanted, it is the owner's bound that is short.
    """
    short = np.empty(own.need.shape[1], np.int64)
    if held >= wanted:
        for resource in range(short.shape[0]):
            short[resource] = wanted * own.need[k, resource] - trial.lent[pool, resource]
        return _cover(short, _stays(pool, -1, trial, guests, marked), guests)[0]
    best, least = np.empty(0, np.int64), LARGEST
    for node in range(trial.free.shape[0]):
        if trial.traits[node, POOL] != pool or not suits(own.need, own.wants, k, node, trial):
            continue
        count = 1 + _times(own.need, k, trial.free, node)
        for resource in range(short.shape[0]):
            short[resource] = count * own.need[k, resource] - trial.free[node, resource]
        found, loss = _cover(short, _stays(pool, node, trial, guests, marked), guests)
        is_fewer = loss == least and found.shape[0] < best.shape[0]
        if found.shape[0] and (loss < least or is_fewer):
            best, least = found, loss
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _stays(pool: int, node: int, places: Places, guests: Guests, marked: Mask) -> Ints:
    """Return the guests of a pool that are not marked, of one of its nodes unless that is -1."""
    rows, count = np.empty(marked.shape[0], np.int64), 0
    for row in range(marked.shape[0]):
        is_there = node in (-1, guests.node[row]) and places.traits[guests.node[row], POOL] == pool
        if is_there and not marked[row]:
            rows[count] = row
            count += 1
    return rows[:count]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _cover(short: Ints, rows: Ints, guests: Guests) -> tuple[Ints, int]:
    """Return of whom to end so that nothing is short, by the first of each group, and the loss.

    Nobody if all of them are not enough. The group with the least loss for each thousandth of what
    is short, again and again; or a single one that is enough, if no more is lost so.
    """
    firsts, sizes = _groups(rows, guests)
    picked, left = np.zeros(firsts.shape[0], np.bool_), short.copy()
    single, loss, count = -1, 0, 0
    for at in range(firsts.shape[0]):
        is_less = single < 0 or guests.loss[firsts[at]] < guests.loss[firsts[single]]
        if is_less and _is_enough(sizes, at, short):
            single = at
    while _is_lacking(left):
        best, most = -1, 0
        for at in range(firsts.shape[0]):
            gain = 0 if picked[at] else _gain(sizes, at, left)
            if gain and (
                best < 0 or guests.loss[firsts[at]] * most < guests.loss[firsts[best]] * gain
            ):
                best, most = at, gain
        if best < 0:
            return firsts[:0], 0
        picked[best] = True
        loss += guests.loss[firsts[best]]
        for resource in range(left.shape[0]):
            left[resource] -= sizes[best, resource]
    if single >= 0 and guests.loss[firsts[single]] <= loss:
        firsts[0] = firsts[single]
        return firsts[:1], int(guests.loss[firsts[0]])
    for at in range(firsts.shape[0]):
        if picked[at]:
            firsts[count] = firsts[at]
            count += 1
    return firsts[:count], loss


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _groups(rows: Ints, guests: Guests) -> tuple[Ints, Ints]:
    """Return the first row of each group of these, and what the group holds of these in all."""
    firsts, count = np.empty(rows.shape[0], np.int64), 0
    sizes = np.zeros((rows.shape[0], guests.size.shape[1]), np.int64)
    for row in rows:
        at = 0
        while at < count and guests.group[firsts[at]] != guests.group[row]:
            at += 1
        if at == count:
            firsts[count] = row
            count += 1
        for resource in range(sizes.shape[1]):
            sizes[at, resource] += guests.size[row, resource]
    return firsts[:count], sizes


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _gain(sizes: Ints, row: int, short: Ints) -> int:
    """Return thousandths of what is short that this much gives, rounded up, over all resources."""
    found = 0
    for resource in range(short.shape[0]):
        if short[resource] > 0:
            part = min(sizes[row, resource], short[resource])
            found += -(-_SHARE * part // short[resource])
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _is_enough(sizes: Ints, row: int, short: Ints) -> bool:
    is_enough = True
    for resource in range(short.shape[0]):
        is_enough &= sizes[row, resource] >= short[resource]
    return is_enough


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _is_lacking(short: Ints) -> bool:
    is_lacking = False
    for amount in short:
        is_lacking |= amount > 0
    return is_lacking


def warm() -> None:
    """Compile the kernels, or load them: one owner's task, one guest, one node."""
    one, each, none = np.ones((1, 1), np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)
    own = Kins(one, none, 0 * one, one, each, none, none)
    places = Places(0 * one, one, np.zeros((1, 3), np.int64), 0 * one)
    guests, soon = Guests(none, one, none, none), with_leaving(places, 0 * one)
    without_guests(soon, guests)
    jobs = Jobs(none, each, each.copy(), each)
    claims = claim(none.copy(), none.copy(), jobs, own, places, soon, each.copy())
    take_back(claims, jobs, own, places, soon, guests)
