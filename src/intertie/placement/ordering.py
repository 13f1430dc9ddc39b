"""Who goes first: one integer for each waiting job, the lowest first.

Price is in none of them (design, section 7). Under an order of `STATIC` a key does not change while
a job waits, so that it may be written down at arrival; the others are written anew each round, and
so is any while `patience_ms` is given: who has waited longer than that goes before all who have
not, the oldest first, because an order that starves its large jobs is not a better one.

``fifo``                 by submission
``shortest-first``       by expected length (SJF, SPF; Gaussier et al. SC'15 and Tsafrir et al. 2007
                         put only those behind the first that finds no room in this order, which is
                         the backfill `easy-sjbf`)
``smallest-area-first``  by length × units (SAF, the best simple one in Carastan-Santos et al.,
                         "One can only gain by replacing EASY backfilling", CCGrid 2019)
``narrowest-first``      by units (Lelong et al., "Tuning EASY-backfilling queues", 2017)
``deadline-first``       by deadline; who has none comes last
``ageing``               by length, of which a minute is forgiven for each hour of waiting; the
                         clock runs for all alike, so that even this one is static
``expansion-first``      by (wait + length) ÷ length, the largest first (LXF, Lelong et al. 2017):
                         changes with time
``wfp3``                 by (wait ÷ length)³ × units, the largest first (Tang et al., CLUSTER 2009):
                         changes with time

Of two jobs alike the earlier goes first, which is the caller's stable sort. Integers throughout:
what is too large to be told apart (an area of 2**52 is 142 000 years of one unit) is alike.
"""

import numpy as np
from numba import njit

from intertie.placement.given import LARGEST, Ints
from intertie.world.compiling import in_place

FIFO, SHORTEST, AREA, NARROWEST, DEADLINE, AGEING, EXPANSION, WFP3 = range(8)
ORDERS = (
    "fifo",
    "shortest-first",
    "smallest-area-first",
    "narrowest-first",
    "deadline-first",
    "ageing",
    "expansion-first",
    "wfp3",
)
STATIC = ORDERS[:EXPANSION]
PRIORITY_MAX = 255
WAITED_PER_LENGTH = 60
_SPAN = 2**52  # keys of one priority and one patience are from 0 to below this
_LATEST = 2**44  # no instant and no length is larger: 557 years in milliseconds
_SHORTEST_MS = 10_000  # below this an expansion says nothing (Feitelson 1997)
_MILLI = 1000
_RATIO_MAX = 2**20  # waits of a thousand lengths are alike


@in_place
def queue_key(
    order: int,
    submit_ms: int,
    length_ms: int,
    units: int,
    deadline_ms: int,
    priority: int,
    now_ms: int = 0,
    patience_ms: int = LARGEST,
) -> int:
    """Return the key of a waiting job, the lowest first; its absolute value is below 2**62.

    `order` is a place in `ORDERS`. The higher `priority` (at most `PRIORITY_MAX` either way) goes
    first whatever the rest; instants are from any one zero; `deadline_ms` is 0 where there is none.
    `now_ms` is read only under an order that changes with time, or with a patience.
    """
    assert 0 <= submit_ms < _LATEST and 0 <= length_ms < _LATEST and 0 <= deadline_ms < _LATEST
    assert units >= 0 and -PRIORITY_MAX <= priority <= PRIORITY_MAX
    waited_ms = max(0, now_ms - submit_ms)
    if waited_ms > patience_ms:
        key = submit_ms - _SPAN
    else:
        key = min(_SPAN - 1, _key(order, submit_ms, length_ms, units, deadline_ms, waited_ms))
    return key - priority * 2 * _SPAN


def warm() -> None:
    """Compile the kernels, or load them: one job."""
    one = np.ones(1, np.int64)
    queue_keys(0, one, one, one, one, one, 1, 1)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def queue_keys(
    order: int,
    submit_ms: Ints,
    length_ms: Ints,
    units: Ints,
    deadline_ms: Ints,
    priority: Ints,
    now_ms: int,
    patience_ms: int,
) -> Ints:
    """Return the key of each waiting job; axes [job]."""
    keys = np.empty(submit_ms.shape[0], np.int64)
    for job in range(keys.shape[0]):
        keys[job] = queue_key(
            order,
            submit_ms[job],
            length_ms[job],
            units[job],
            deadline_ms[job],
            priority[job],
            now_ms,
            patience_ms,
        )
    return keys


@in_place
def _key(
    order: int, submit_ms: int, length_ms: int, units: int, deadline_ms: int, waited_ms: int
) -> int:
    if order == FIFO:
        return submit_ms
    if order == SHORTEST:
        return length_ms
    if order == AREA:
        return _product(length_ms, units)
    if order == NARROWEST:
        return units
    if order == DEADLINE:
        return deadline_ms if deadline_ms else _LATEST
    if order == AGEING:
        return length_ms * WAITED_PER_LENGTH + submit_ms
    ratio = min(_RATIO_MAX, waited_ms * _MILLI // max(_SHORTEST_MS, length_ms))
    if order == EXPANSION:
        return _SPAN - 1 - ratio
    assert order == WFP3, "no such order"
    square = ratio * ratio // _MILLI
    return _SPAN - 1 - min(_SPAN - 1, _product(square * ratio // _MILLI, units))


@in_place
def _product(one: int, other: int) -> int:
    """Return one × other, or the largest key where that is larger: int64 would wrap."""
    if other and one > (_SPAN - 1) // other:
        return _SPAN - 1
    return one * other
