"""Who runs where anybody may be paused: the orders of preemptive schedulers, as keys.

The lowest key runs first, of two alike the one that stood first before. Times are in one unit of
the caller's; what remains or was served, times units, stays below 2**52.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from intertie.placement.given import Ints

SRTF, SRSF, AGED, LAS = 0, 1, 2, 3
ORDERS = ("srtf", "srsf", "srsf-aged", "las")
MOST_SERVICE = 2**52
_SCALE = 10  # bits: ages count in thousandths of a patience, so that keys stay whole


class Pausable(NamedTuple):
    """Jobs that run or wait to; axes [job].

    What is left[job] to run and what was served[job], the units that it holds while it runs, its
    age[job] since submission, the level[job] of service at which it stood (`las`) and whether it
    runs[job], both after the last round.
    """

    left: Ints
    served: Ints
    units: Ints
    age: Ints
    level: Ints
    runs: Ints


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def keys(order: int, jobs: Pausable, patience: int, limits: Ints) -> Ints:
    """Return the key of each job; axes [job].

    SRTF: the least time left. SRSF: the least service left, time times units. AGED: that service
    divided by 1 + age ÷ `patience`, so that nobody waits for ever and who is younger than a
    patience hardly gains. LAS: the lowest level of service attained, by `limits` (Tiresias, NSDI
    2019: two-dimensional, discretised); on a level who runs is not paused for who waits, and who
    has just come to it stands last.
    """
    if order == SRTF:
        return jobs.left.copy()
    if order == LAS:
        level = levels(jobs, limits)
        return level * 3 + np.where(level != jobs.level, 2, 1 - jobs.runs)
    service = jobs.left * jobs.units
    if order == AGED:
        return (service << _SCALE) // ((1 << _SCALE) + (jobs.age << _SCALE) // patience)
    return service


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def levels(jobs: Pausable, limits: Ints) -> Ints:
    """Return how many limits of service each job has reached; axes [job]."""
    return np.searchsorted(limits, jobs.served * jobs.units, "right").astype(np.int64)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def time_to_level(jobs: Pausable, limits: Ints) -> Ints:
    """Return after how much more running each job comes to its next level, 0 on the last."""
    found, level = np.zeros(jobs.left.shape[0], np.int64), levels(jobs, limits)
    for job in range(found.shape[0]):
        if level[job] < limits.shape[0]:
            missing = limits[level[job]] - jobs.served[job] * jobs.units[job]
            found[job] = (missing + jobs.units[job] - 1) // jobs.units[job]
    return found
