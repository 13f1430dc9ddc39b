"""How long a job will take, from what its user stated and from what the jobs before it took.

People state far more than they use, and nobody lies twice in the same way: what is learnt is by
which factor of the stated limit a job ended, its logarithm, as a mean over ever smaller classes
(everybody, everybody with that limit, the user, the user with that limit, and with that size too).
A class with few runs leans on the larger one around it, as if it had seen `LEANS` runs like those;
what is long ago counts less. How far earlier forecasts missed gives the quantiles.

Tsafrir et al., "Backfilling using system-generated predictions rather than user runtime estimates"
(TPDS 2007) take the mean of a user's last two runs, here `last-two`; Gaussier et al., "Improving
backfilling by using machine learning to predict running times" (SC'15) a regression over such
classes. Integers throughout, so that a replay on any machine foresees the same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from intertie.planner.logarithms import OCTAVE, exp2, log2
from intertie.world.compiling import in_place, on_call

Ints = NDArray[np.int64]
STATED, LAST_TWO, HISTORY = range(3)
PREDICTORS = ("stated", "last-two", "history")
ENDLESS_MS = 2**43  # what is stated where nobody states anything, or anything longer
LONGEST = 43 * OCTAVE  # the logarithm of that
LEVELS = 5
LEANS = 4
LEFT_PPM = 950_000  # of what a class knows, when it learns one more run
PPM = 1_000_000
SHORTEST_MS = 1_000  # shorter than this is as short
QUANTILES_PPM = (100_000, 500_000, 900_000)
BINS, BIN = 256, OCTAVE // 8


class Foresight(NamedTuple):
    """What was learnt so far, by class and by the job that it was foreseen of.

    `how`[0] is a place in `PREDICTORS`; classes[job, level] from the largest to the smallest;
    weight[class] of runs in millionths, total[class] of their logarithms; centre[job], the
    logarithm foreseen, and missed[bin], how often one was missed by so many eighths of an octave;
    last[user, 2] the lengths of the last two.
    """

    how: Ints
    classes: Ints
    weight: Ints
    total: Ints
    centre: Ints
    missed: Ints
    last: Ints


def foresight_of(predictor: str, user: Ints, units: Ints, stated_ms: Ints) -> Foresight:
    """Return the foresight before any of these jobs ended; axes [job], users counted from 0."""
    how = np.array([PREDICTORS.index(predictor)], np.int64)
    classes, count = np.zeros((len(user), LEVELS), np.int64), 1
    if how[0] == HISTORY:
        of_limit, of_user = _numbered(np.minimum(stated_ms, ENDLESS_MS)), _numbered(user)
        own = _numbered(of_user * len(user) + of_limit)
        sized = _numbered(own * len(user) + _numbered(units))
        for level, found in enumerate((of_limit, of_user, own, sized), start=1):
            classes[:, level] = found + count
            count += int(found.max(initial=-1)) + 1
    known, missed = np.zeros((2, count), np.int64), np.zeros(BINS, np.int64)
    # Before anything was foreseen: a run is an eighth of it, it, or eight times as long.
    missed[BINS // 2 - 24 : BINS // 2 + 25 : 24] = 1
    last = np.zeros((int(user.max(initial=-1)) + 1, 2), np.int64)
    return Foresight(how, classes, known[0], known[1], np.zeros_like(user), missed, last)


def _numbered(values: Ints) -> Ints:
    """Return for each value how many smaller ones there are: classes counted from 0."""
    numbers: Ints = np.unique(values, return_inverse=True)[1]
    return numbers.reshape(-1).astype(np.int64)


def warm() -> None:
    """Compile the kernels, or load them: one job after one other."""
    user, length = np.zeros(2, np.int64), np.full(2, SHORTEST_MS)
    relive(foresight_of("history", user, user, length), user, length, length)


@in_place
def foresee(foresight: Foresight, job: int, user: int, stated_ms: int) -> tuple[int, int, int]:
    """Return (low, likely, high) of the length of a job that comes, in milliseconds.

    None is above what is stated; where nothing was learnt all three are that.
    """
    how, limit = foresight.how[0], min(stated_ms, ENDLESS_MS)
    if how == LAST_TWO and foresight.last[user, 1]:
        likely = min(limit, (foresight.last[user, 0] + foresight.last[user, 1]) // 2)
        return likely, likely, likely
    if how != HISTORY or not foresight.weight[foresight.classes[job, 0]]:
        return limit, limit, limit
    centre = 0
    for level in range(LEVELS):
        at = foresight.classes[job, level]
        centre = lean(centre, foresight.total[at], foresight.weight[at], level > 0)
    foresight.centre[job] = centre + log2(max(SHORTEST_MS, limit))
    return (
        _quantile(foresight, job, QUANTILES_PPM[0], limit),
        _quantile(foresight, job, QUANTILES_PPM[1], limit),
        _quantile(foresight, job, QUANTILES_PPM[2], limit),
    )


@in_place
def reach(foresight: Foresight, likely_ms: int, high_ms: int, stated_ms: int) -> int:
    """Return how long a job that starts is counted on to hold its room, at most.

    What is stated, if it is: who ends before that gives more room than was promised to others.
    Tsafrir et al. count on what is likely.
    """
    if foresight.how[0] == LAST_TWO:
        return likely_ms
    return high_ms if foresight.how[0] == HISTORY and stated_ms >= ENDLESS_MS else stated_ms


@in_place
def correct(stated_ms: int, ran_ms: int) -> int:
    """Return the length expected of a job that has run for `ran_ms` and was to be over: more.

    Twice as long, but not above what is stated, unless it is beyond that already.
    """
    return max(ran_ms + 1, min(stated_ms, 2 * ran_ms))


@in_place
def learn(foresight: Foresight, job: int, user: int, stated_ms: int, ran_ms: int) -> None:
    """Take in how long a job took that has ended."""
    how = foresight.how[0]
    if how == LAST_TWO:
        last = foresight.last[user]
        last[0] = last[1] if last[1] else ran_ms
        last[1] = ran_ms
    if how != HISTORY:
        return
    found, limit = log2(max(SHORTEST_MS, ran_ms)), min(stated_ms, ENDLESS_MS)
    if foresight.centre[job]:
        at = BINS // 2 + (found - foresight.centre[job] + BIN // 2) // BIN
        foresight.missed[min(BINS - 1, max(0, at))] += 1
    factor = found - log2(max(SHORTEST_MS, limit))
    for level in range(LEVELS):
        at = foresight.classes[job, level]
        foresight.weight[at] = foresight.weight[at] * LEFT_PPM // PPM + PPM
        foresight.total[at] = foresight.total[at] * LEFT_PPM // PPM + factor * PPM


@on_call
def relive(foresight: Foresight, user: Ints, stated_ms: Ints, ran_ms: Ints) -> tuple[int, int, int]:
    """Foresee and learn one job after another, and return what is foreseen of the last."""
    last = user.shape[0] - 1
    for job in range(last):
        foresee(foresight, job, user[job], stated_ms[job])
        learn(foresight, job, user[job], stated_ms[job], ran_ms[job])
    return foresee(foresight, last, user[last], stated_ms[last])


@in_place
def lean(around: int, total: int, weight: int, leans: bool) -> int:
    """Return the mean of a class's logarithms, leaning on what is known of the class around it."""
    if not leans:
        return total // weight
    return (total + LEANS * PPM * around) // (weight + LEANS * PPM)


@in_place
def _quantile(foresight: Foresight, job: int, part_ppm: int, limit_ms: int) -> int:
    """Return the length that so large a part of the jobs foreseen like this one do not exceed."""
    missed, counted, at = foresight.missed, 0, -1
    wanted = missed.sum() * part_ppm
    while counted * PPM < wanted:
        at += 1
        counted += missed[at]
    by = (at - BINS // 2) * BIN
    within = min(LONGEST, max(0, foresight.centre[job] + by))
    return min(limit_ms, exp2(within))
