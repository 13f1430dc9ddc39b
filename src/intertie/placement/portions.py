"""Portions: what part of the time each job is promised, and who is furthest behind its own.

The division of time is Gavel's (OSDI 2020): it is made anew when jobs came or went, but not more
often than every `DIVIDED_EACH_MS`; in between, slices go to whoever had least of its portion.
Who came since the last division waits for the next. The divisions are the linear programs of the
papers in closed form, in whole numbers. Their slow twins are in the tests.
"""

from typing import NamedTuple

import numpy as np

from intertie.placement.given import Ints

WHOLE = 10**9  # all of the time
DIVIDED_EACH_MS = 1_000_000
LEAST = 10**6  # of a portion that only says who would be next
SHORTEST_MS, LONGEST_MS, LENGTHENED = 100_000, 10**9, 10


class Portions(NamedTuple):
    """What each job was promised and had; axes [job], all jobs that may ever come.

    `part` of WHOLE, or −1 who came since the last division; `had_ms` since the last division;
    `behind` is what all earlier divisions left it short of, in milliseconds. `divided_ms` has one
    entry, the instant of the last division.
    """

    part: Ints
    had_ms: Ints
    behind: Ints
    divided_ms: Ints


def no_portions(jobs: int, slice_ms: int) -> Portions:
    """Return the portions of jobs of which none has come; each begins with half a slice."""
    none = np.zeros(jobs, np.int64)
    return Portions(none - 1, none + slice_ms // 2, none.copy(), np.zeros(1, np.int64))


def is_due(portions: Portions, now: int) -> bool:
    """Return whether time may be divided anew; a division at the instant 0 does not count."""
    last = int(portions.divided_ms[0])
    return last == 0 or now - last >= DIVIDED_EACH_MS


def divide(portions: Portions, now: int, jobs: Ints, parts: Ints, slice_ms: int) -> None:
    """Promise `parts` of the time to `jobs`, and note what they were short of until now."""
    half = slice_ms // 2
    elapsed = now - int(portions.divided_ms[0])
    promised = np.maximum(portions.part[jobs], 0) * elapsed // WHOLE
    portions.behind[jobs] += promised - (portions.had_ms[jobs] - half)
    portions.had_ms[jobs] = half
    portions.part[jobs] = parts
    portions.divided_ms[0] = now


def by_portion(portions: Portions, jobs: Ints) -> Ints:
    """Return who is furthest behind its portion first, rows of `jobs`; who has none is not there.

    By portion ÷ time had; among equals who is shorter of earlier ones, then the larger portion,
    then who came first.
    """
    part = portions.part[jobs]
    claim = part * 10**6 // np.maximum(portions.had_ms[jobs], 1)
    order = np.lexsort((-part, -portions.behind[jobs], -claim))
    return order[part[order] >= 0].astype(np.int64)


def max_min(units: Ints, devices: int) -> Ints:
    """Return the parts under which the job with the least device time has most; axes [job].

    What that leaves goes to all by what each still lacks of the whole.
    """
    jobs, least = len(units), int(units.min())
    floor = np.minimum(WHOLE, min(devices * WHOLE // jobs, least * WHOLE) // units)
    return _spread(floor, units, devices)


def most_steps(units: Ints, speed: Ints, devices: int) -> Ints:
    """Return the parts under which most steps are done a second by all jobs together; axes [job].

    The fastest by device have the whole; the others next to nothing, the more the closer they were.
    """
    order = np.lexsort((-(speed * 1000 // units),))
    parts, free, price = np.zeros(len(units), np.int64), devices * WHOLE, 0
    for row in order.tolist():
        need = int(units[row])
        parts[row] = min(WHOLE, free // need)
        free -= int(parts[row]) * need
        price = int(speed[row]) // need
        if free < need:
            break
    gap = np.maximum(price * units - speed, 1)
    return np.where(parts > 0, parts, np.maximum(1, np.minimum(LEAST, WHOLE // gap)))


def least_makespan(units: Ints, left_ms: Ints, devices: int) -> Ints:
    """Return parts under which all end within a twentieth of the least makespan; axes [job].

    What each needs for that, and of what is free then a part as far from all bounds as can be.
    """
    work = -(-int((units * left_ms).sum()) // devices)
    least = max(work, int(left_ms.max()), 1)
    low, high = SHORTEST_MS, LONGEST_MS
    while high < least:
        low, high = high, high * LENGTHENED
    while 105 * low < 100 * high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle >= least else (middle, high)
    need = left_ms * 10**6 // high * (WHOLE // 10**6)
    return _centre(np.minimum(WHOLE - 2, need), units, devices)


def _spread(floor: Ints, units: Ints, devices: int) -> Ints:
    """Return the floor, and of what is left the same share of what each lacks of the whole."""
    left = devices * WHOLE - int((floor * units).sum())
    lacking = int(((WHOLE - floor) * units).sum())
    share = min(WHOLE, max(0, left) * WHOLE // lacking) if lacking else 0
    return floor + (WHOLE - floor) * share // WHOLE


def _centre(floor: Ints, units: Ints, devices: int) -> Ints:
    """Return the analytic centre of {part: floor ≤ part ≤ WHOLE, Σ units · part ≤ devices}.

    At a price for device time each job's own optimum is found by bisection, and the price is where
    what stays free is its inverse.
    """
    low, high = 0, 10**15
    for _ in range(50):
        price = (low + high) // 2
        spare = devices * WHOLE - int((_at_price(floor, units, price) * units).sum())
        low, high = (price, high) if spare * price < WHOLE * WHOLE else (low, price)
    return _at_price(floor, units, high)


def _at_price(floor: Ints, units: Ints, price: int) -> Ints:
    """Return where 1 ÷ (part − floor) + 1 ÷ part − 1 ÷ (WHOLE − part) is the price of `units`."""
    low, high = floor.copy(), np.full(len(floor), WHOLE, np.int64)
    for _ in range(30):
        middle = (low + high) // 2
        pull = _inverse(middle - floor) + _inverse(middle) - _inverse(WHOLE - middle)
        is_short = pull > price * units
        low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
    return low


def _inverse(parts: Ints) -> Ints:
    return WHOLE * WHOLE // np.maximum(parts, 1)
