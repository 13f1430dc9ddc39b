"""Who runs in the next slice of time, where jobs take turns and may stop after each.

Orders are columns of keys over the same candidates; one kernel then fills the devices by an order,
each job whole on one class. Their slow twin is in the tests. `portions.py` has the orders of who
was promised a part of the time.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from intertie.placement.given import LARGEST, Ints

NOWHERE = -1
SLICES_AHEAD = 2  # a job whose due time leaves less than so many slices is urgent
CRITICAL, URGENT, OTHER = 0, 1, 2


class Candidates(NamedTuple):
    """Jobs that want the next slice, the longest waiting first; axes [job] and [job, class].

    Devices, speed on each class (0: does not run there), the time that each still needs, when it
    came and what it has run, in milliseconds.
    """

    units: Ints
    speed: Ints
    left_ms: Ints
    came_ms: Ints
    served_ms: Ints


def shortest(jobs: Candidates) -> Ints:
    """Return the order by least device time left, rows of `jobs`."""
    return _by(jobs.units * jobs.left_ms)


def least_served(jobs: Candidates) -> Ints:
    """Return the order by least device time had so far (least attained service)."""
    return _by(jobs.units * jobs.served_ms)


def finish_time(now: int, jobs: Candidates, share_milli: int) -> Ints:
    """Return the order by who would finish latest beside a fair part of the machine.

    `share_milli`: how many thousandths of its time alone a job may take under a fair part.
    """
    fair = np.maximum(_fair_ms(jobs, share_milli), 1)
    return _by(-((now - jobs.came_ms + jobs.left_ms) * 1000 // fair))


def balanced(now: int, jobs: Candidates, share_milli: int, devices: Ints, slice_ms: int) -> Ints:
    """Return our order: what would end last, then who is nearly late, then the shortest.

    *Critical* is a job that needs no less than everybody's work takes on all devices: whoever ends
    last must not wait, and the longest of them goes first. *Urgent* is who would be later than
    under a fair part of the machine if it waited for SLICES_AHEAD more slices: by due time. All
    others go by least device time left, which is what keeps the mean time to completion low; and
    where nobody has to wait there are only others. `devices` are those of each class.
    """
    work = jobs.units * jobs.left_ms
    if int(jobs.units.sum()) <= int(devices.sum()):
        return _by(work)
    due = jobs.came_ms + _fair_ms(jobs, share_milli)
    is_critical = jobs.left_ms * _worth_milli(jobs, devices) // 1000 >= int(work.sum())
    is_urgent = due - now - jobs.left_ms < SLICES_AHEAD * slice_ms
    rank = np.where(is_critical, CRITICAL, np.where(is_urgent, URGENT, OTHER))
    key = np.where(is_urgent, due, work)
    return _by(np.where(is_critical, -jobs.left_ms, key), rank)


def _worth_milli(jobs: Candidates, devices: Ints) -> int:
    """Return how many devices of a job's best class all devices are worth, in thousandths."""
    best = np.maximum(jobs.speed.max(axis=1), 1)
    relative = jobs.speed * 1000 // best[:, None]
    return int((devices * relative.sum(axis=0)).sum()) // len(jobs.units)


def fair_milli(came: int, devices: int) -> int:
    """Return how many thousandths of its time alone a job takes if all who came share the machine.

    Who came and has ended counts too: the part that was promised when they were here stands.
    """
    return max(1000, came * 1000 // devices)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fill_slice(order: Ints, units: Ints, speed: Ints, free: Ints, is_by_speed: bool) -> Ints:
    """Return the class on which each job runs in the next slice, or NOWHERE; axes [job].

    In order, each job that fits takes the fastest class with room; where speeds are not to be
    known, the class with the most room. Whoever does not fit is passed over. `free` is spent.
    """
    where = np.full(units.shape[0], NOWHERE, np.int64)
    for job in order:
        best = NOWHERE
        for at in range(free.shape[0]):
            if speed[job, at] > 0 and free[at] >= units[job]:
                value, most = (speed[job], speed[job]) if is_by_speed else (free, free)
                if best == NOWHERE or value[at] > most[best]:
                    best = at
        if best != NOWHERE:
            where[job] = best
            free[best] -= units[job]
    return where


def _fair_ms(jobs: Candidates, share_milli: int) -> Ints:
    return (jobs.served_ms + jobs.left_ms) * share_milli // 1000


def _by(key: Ints, rank: Ints | None = None) -> Ints:
    """Return rows by rank, then key, then who came first."""
    assert int(np.abs(key).max(initial=0)) < LARGEST
    keys = (key,) if rank is None else (key, rank)
    return np.lexsort(keys).astype(np.int64)
