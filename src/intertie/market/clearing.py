"""Clear at list prices: a bid trades with every ask that it can pay; the price is the ask's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NO_TRADE = -1
_LAST = 2**62


@dataclass(frozen=True)
class Claims:
    """What may be placed where. `rank[job, pool]` is lower for what the job would rather have.

    NO_TRADE where bid and ask do not meet. `over_limit[job, pool]` marks a price that was too high.
    """

    rank: Ints
    over_limit: NDArray[np.bool_]


def clear(
    task_micro: Ints,
    done_s: Ints,
    limit_micro: Ints,
    is_soonest: Ints,
    is_eligible: NDArray[np.bool_],
) -> Claims:
    """Return the claims of bids on asks at list prices; all arrays have axes [job, pool] or [job].

    A task may cost at most `limit_micro[job]`; 0 means no limit. The rank is the cost of the task,
    or when it is done (its wait there and its run) for a job that would rather finish soon; ties
    go to the other of the two. The best that trades has rank 0.
    """
    has_limit = limit_micro[:, None] > 0
    over_limit = has_limit & (task_micro > limit_micro[:, None]) & is_eligible
    first = np.where(is_soonest[:, None] > 0, done_s, task_micro)
    second = np.where(is_soonest[:, None] > 0, task_micro, done_s)
    trades = is_eligible & ~over_limit
    rank = _dense(np.where(trades, first, _LAST), second)
    return Claims(np.where(trades, rank, NO_TRADE), over_limit)


def _dense(first: Ints, second: Ints) -> Ints:
    """Return ranks along the pool axis by (first, second); equal pairs share a rank."""
    order = np.lexsort((second, first), axis=1)
    begins = np.zeros(first.shape, np.bool_)
    for each in (first, second):
        along = np.take_along_axis(each, order, axis=1)
        begins[:, 1:] |= along[:, 1:] != along[:, :-1]
    ranks = np.zeros(first.shape, np.int64)
    np.put_along_axis(ranks, order, np.cumsum(begins, axis=1), axis=1)
    return ranks
