"""How long a training job still takes, from the batch sizes that it is known to use.

A job tells the batch sizes of its profile and how many epochs it has; nobody knows when it will
change. The prediction starts from equal parts of all epochs and learns from those that were seen:
a Dirichlet prior, as in Shockwave (NSDI 2023), here in whole numbers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MILLI = 1000
MOST_EPOCHS, MOST_LEVELS = 10**7, 8  # so that no product below leaves int64


class Learning(NamedTuple):
    """Jobs that learn; axes [job] and [job, level].

    All epochs, those left in thousandths, how many were seen at each level, whether a level is
    known of the job, and what one epoch takes there in microseconds.
    """

    epochs: Ints
    left_milli: Ints
    seen: Ints
    is_known: Ints
    epoch_us: Ints


def left_ms(jobs: Learning) -> Ints:
    """Return the expected time that each job still runs, in milliseconds; axes [job].

    Epochs that are yet to come are spread over the known levels by what is expected of each, less
    what was seen there already.
    """
    _check(jobs)
    known = np.maximum(jobs.is_known.sum(axis=1), 1)
    seen = jobs.seen * jobs.is_known
    # (epochs / known + seen) / (epochs + all seen) of all epochs, times both denominators.
    expected = jobs.epochs[:, None] * (jobs.epochs[:, None] + known[:, None] * seen)
    past = seen * (known * (jobs.epochs + seen.sum(axis=1)))[:, None]
    weight = np.maximum(expected - past, 0) * jobs.is_known
    weight = np.where(weight.any(axis=1)[:, None], weight, jobs.is_known)
    part = weight * MILLI // weight.sum(axis=1)[:, None]
    mean_us = (part * jobs.epoch_us).sum(axis=1) // np.maximum(part.sum(axis=1), 1)
    left: Ints = jobs.left_milli * mean_us // (MILLI * MILLI)
    return left


def _check(jobs: Learning) -> None:
    assert jobs.seen.shape[1] <= MOST_LEVELS
    assert int(jobs.epochs.max(initial=0)) <= MOST_EPOCHS, "too many epochs to weigh"
    assert int(jobs.seen.max(initial=0)) <= MOST_EPOCHS
    assert int(jobs.epoch_us.max(initial=0)) <= 2**62 // (MILLI * MOST_LEVELS)
    longest = jobs.left_milli * jobs.epoch_us.max(axis=1, initial=0).astype(np.float64)
    assert float(longest.max(initial=0)) < 2**62, "longer than can be told in milliseconds"
