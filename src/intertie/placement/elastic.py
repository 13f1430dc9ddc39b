"""Elastic: jobs that run at several sizes, each promised to be done by a deadline.

A job is admitted if everybody promised so far and it can be done in time: in order of deadlines
each takes the least size, or less where less is free, that is enough (the minimum satisfactory
share of ElasticFlow, ASPLOS 2023). What nobody needs goes where it brings most. Sizes are columns,
ascending; work is counted in any unit that keeps rate times time below 2**62. The slow twin is in
tests/support/slow_elastic.py.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from intertie.model.refusal import Refusal, Relaxation
from intertie.placement.given import LARGEST, Ints

NONE = -1  # of a size: it does not run
# Why a job cannot be promised: even alone at its best it would be late, or others are promised.
TOO_SOON, NO_ROOM = -2, -3
_SCALE = 20  # bits: what a unit brings is compared in millionths of what the first one does


class Elastic(NamedTuple):
    """Jobs; axes [job], [job, size].

    What is left[job] to do, until[job] when, what it does of that in one unit of time at each
    rate[job, size], 0 where it does not run at that size, and the size[job] that it has now.
    """

    left: Ints
    until: Ints
    rate: Ints
    size: Ints


class Sizes(NamedTuple):
    """What each size holds, units[size], and how long it takes to start at it, start[size]."""

    units: Ints
    start: Ints


class Profile(NamedTuple):
    """What is free from each instant at[step] until the next, free[step]; `steps`[0] are in use.

    The last step lasts for ever.
    """

    at: Ints
    free: Ints
    steps: Ints


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def all_free(now: int, capacity: int, jobs: int) -> Profile:
    """Return the profile in which nobody is promised anything, with room for so many jobs."""
    at, free = np.full(jobs + 2, LARGEST), np.zeros(jobs + 2, np.int64)
    at[0], free[0] = now, capacity
    return Profile(at, free, np.ones(1, np.int64))


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def promise(
    jobs: Elastic, order: Ints, sizes: Sizes, profile: Profile, share: Ints, is_strict: bool
) -> bool:
    """Take from the profile what each job needs, in that order; return whether all are in time.

    share[job] becomes the size that it needs from the profile's first instant on, or NONE. Where
    one cannot be in time a strict promise stops; else that job takes what ends it soonest.
    """
    are_all = True
    for job in order:
        found = fit(jobs, job, sizes, profile)
        if found < NONE:
            are_all = False
            if is_strict:
                break
            end, most = _soonest(jobs, job, sizes, profile)
            found = _take_until(end, jobs.rate[job], most, sizes, profile)
        share[job] = found
    return are_all


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fit(jobs: Elastic, job: int, sizes: Sizes, profile: Profile) -> int:
    """Take from the profile what one job needs to be done in time.

    Return the size that it has from the profile's first instant on, or NONE if it starts later;
    TOO_SOON or NO_ROOM, with the profile as it was, if it cannot be done in time. Bounded by sizes
    times steps.
    """
    window, is_possible = jobs.until[job] - profile.at[0], False
    for most in range(sizes.units.shape[0]):
        rate = jobs.rate[job, most]
        if rate == 0:
            continue
        left = jobs.left[job]
        if jobs.size[job] != most:
            left += rate * sizes.start[most]
        if rate * window < left:
            continue
        is_possible = True
        end = _done_at(jobs.rate[job], most, left, jobs.until[job], sizes, profile)
        if end < LARGEST:
            return _take_until(end, jobs.rate[job], most, sizes, profile)
    return NO_ROOM if is_possible else TOO_SOON


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def grow(jobs: Elastic, sizes: Sizes, share: Ints, room: int) -> int:
    """Give what is left to whom it brings most; return what nobody can use.

    First who runs keeps the size that it has, for a start costs time. Then one size at a time goes
    to the job in which a further unit does most, measured by what its first one does; not to one
    that would be done before it had started. Of two alike the earlier one gets it. Bounded by jobs
    times sizes, squared.
    """
    for job in range(share.shape[0]):
        more = _units(sizes, jobs.size[job]) - _units(sizes, share[job])
        if 0 < more <= room:
            room -= more
            share[job] = jobs.size[job]
    worth, larger = np.empty(share.shape[0], np.int64), np.empty(share.shape[0], np.int64)
    for job in range(share.shape[0]):
        worth[job], larger[job] = _next_size(jobs, job, sizes, share[job])
    while room > 0:
        best = -1
        for job in range(share.shape[0]):
            if worth[job] > 0 and (best < 0 or worth[job] > worth[best]):
                more = _units(sizes, larger[job]) - _units(sizes, share[job])
                if more <= room:
                    best = job
                else:
                    worth[job] = 0  # room only shrinks
        if best < 0:
            break
        room -= _units(sizes, larger[best]) - _units(sizes, share[best])
        share[best] = larger[best]
        worth[best], larger[best] = _next_size(jobs, best, sizes, share[best])
    return room


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def largest_first(jobs: Elastic, sizes: Sizes, share: Ints, room: int) -> int:
    """Give each job in turn the largest size for which there is room; return what is left.

    The baseline of deadline-first without promises: jobs stand by deadline.
    """
    for job in range(share.shape[0]):
        share[job] = _largest(jobs.rate[job], sizes.units.shape[0] - 1, sizes, room)
        room -= _units(sizes, share[job])
    return room


def refusal(jobs: Elastic, job: int, sizes: Sizes, profile: Profile, found: int) -> Refusal:
    """Return why a job cannot be promised, with the soonest deadline that could be.

    `profile` is what is free beside what was promised before it asked. What was found may also be
    that others' promises would have to be broken for it, which is no room either.
    """
    to_at, _ = _soonest(jobs, job, sizes, profile)
    later = Relaxation("later_deadline", {"to_at": int(to_at)})
    if found == TOO_SOON:
        return Refusal("deadline_too_soon", {"deadline_at": int(jobs.until[job])}, later)
    return Refusal("promised_to_others", {"deadline_at": int(jobs.until[job])}, later)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _units(sizes: Sizes, size: int) -> int:
    return int(sizes.units[size]) if size >= 0 else 0


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _largest(rate: Ints, most: int, sizes: Sizes, room: int) -> int:
    """Return the largest size up to `most` at which a job runs in that room, or NONE."""
    size = most
    while size >= 0 and (rate[size] == 0 or sizes.units[size] > room):
        size -= 1
    return size


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _soonest(jobs: Elastic, job: int, sizes: Sizes, profile: Profile) -> tuple[int, int]:
    """Return when a job would be done at the soonest, and the size up to which it runs for that."""
    found, best = LARGEST, NONE
    for most in range(sizes.units.shape[0]):
        rate = jobs.rate[job, most]
        if rate:
            left = jobs.left[job] + rate * sizes.start[most]
            end = _done_at(jobs.rate[job], most, left, LARGEST, sizes, profile)
            if end < found:
                found, best = end, most
    return found, best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _done_at(rate: Ints, most: int, left: int, until: int, sizes: Sizes, profile: Profile) -> int:
    """Return when so much is done at sizes up to `most`, or LARGEST if not by `until`."""
    at, free, steps = profile.at, profile.free, profile.steps[0]
    for step in range(steps):
        if at[step] >= until:
            break
        size = _largest(rate, most, sizes, free[step])
        if size < 0:
            continue
        begin, end = at[step], until
        if step + 1 < steps:
            end = min(until, at[step + 1])
        needed = (left + rate[size] - 1) // rate[size]
        if needed <= end - begin:
            return int(begin + needed)
        left -= rate[size] * (end - begin)
    return LARGEST


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _take_until(end: int, rate: Ints, most: int, sizes: Sizes, profile: Profile) -> int:
    """Take what a job holds until `end` at sizes up to `most`; return its size at the first step.

    The step in which it ends is split there.
    """
    at, free = profile.at, profile.free
    last, steps = 0, profile.steps[0]
    while last + 1 < steps and at[last + 1] < end:
        last += 1
    if last + 1 == steps or at[last + 1] > end:
        for step in range(steps, last + 1, -1):
            at[step], free[step] = at[step - 1], free[step - 1]
        at[last + 1], free[last + 1] = end, free[last]
        profile.steps[0] += 1
    first = NONE
    for step in range(last + 1):
        size = _largest(rate, most, sizes, free[step])
        if size >= 0:
            free[step] -= sizes.units[size]
        if step == 0:
            first = size
    return first


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_size(jobs: Elastic, job: int, sizes: Sizes, share: int) -> tuple[int, int]:
    """Return what a further unit would bring, 0 if nothing, and the size that it makes."""
    rate = jobs.rate[job]
    size = share + 1
    while size < rate.shape[0] and rate[size] == 0:
        size += 1
    if size == rate.shape[0] or jobs.left[job] < rate[size] * sizes.start[size]:
        return 0, share
    first = 0
    while rate[first] == 0:
        first += 1
    more = rate[size] - (rate[share] if share >= 0 else 0)
    units = sizes.units[size] - _units(sizes, share)
    return (more * sizes.units[first] << _SCALE) // (units * rate[first]), size
