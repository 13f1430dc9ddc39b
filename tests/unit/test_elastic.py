"""Promises to elastic jobs: the kernels and their slow twins, and what a promise is worth."""

from copy import deepcopy

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.model.refusal import Relaxation
from intertie.placement.elastic import (
    NONE,
    TOO_SOON,
    Elastic,
    Profile,
    Sizes,
    all_free,
    fit,
    grow,
    largest_first,
    promise,
    refusal,
)
from tests.support.slow_elastic import Asked, SlowPromises, slow_grow

UNITS = [1, 2, 4]
CAPACITY = 6
rates = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)
asked = st.builds(Asked, st.integers(1, 40), st.integers(0, 15), rates, st.integers(-1, 2)).filter(
    lambda job: job.size < 0 or job.rate[job.size] > 0
)
crowd = st.lists(asked, min_size=1, max_size=6)
starts = st.lists(st.integers(0, 3), min_size=3, max_size=3)


def columns(jobs: list[Asked]) -> Elastic:
    return Elastic(
        np.array([job.left for job in jobs]),
        np.array([job.until for job in jobs]),
        np.array([job.rate for job in jobs]),
        np.array([job.size for job in jobs]),
    )


def told(start: list[int]) -> Sizes:
    return Sizes(np.array(UNITS), np.array(start))


def free_at(profile: Profile, tick: int) -> int:
    step = np.searchsorted(profile.at[: profile.steps[0]], tick, "right") - 1
    return int(profile.free[step])


@given(crowd, starts)
def test_each_is_fitted_as_its_slow_twin_fits_it(jobs: list[Asked], start: list[int]) -> None:
    twin, profile = SlowPromises(CAPACITY, UNITS, start), all_free(0, CAPACITY, len(jobs))
    for row, job in enumerate(jobs):
        found, expected = fit(columns(jobs), row, told(start), profile), twin.fit(job)
        assert (found if found >= NONE else None) == expected
        assert [free_at(profile, tick) for tick in range(40)] == twin.free[:40]


@given(crowd, starts)
def test_all_are_promised_only_if_each_of_them_is(jobs: list[Asked], start: list[int]) -> None:
    jobs.sort(key=lambda job: job.until)
    twin, share = SlowPromises(CAPACITY, UNITS, start), np.full(len(jobs), NONE)
    profile, order = all_free(0, CAPACITY, len(jobs)), np.arange(len(jobs))
    expected = [twin.fit(job) for job in jobs]
    kept = promise(columns(jobs), order, told(start), profile, share, True)
    assert kept == (None not in expected)
    if kept:
        assert share.tolist() == expected


@given(crowd, starts)
def test_nobody_is_promised_more_than_there_is_even_where_some_are_late(
    jobs: list[Asked], start: list[int]
) -> None:
    profile, share = all_free(0, CAPACITY, len(jobs)), np.full(len(jobs), NONE)
    promise(columns(jobs), np.arange(len(jobs)), told(start), profile, share, False)
    assert profile.free[: profile.steps[0]].min() >= 0
    assert sum(UNITS[size] for size in share.tolist() if size >= 0) + profile.free[0] == CAPACITY


@given(crowd, starts, st.lists(st.integers(-1, 2), min_size=6, max_size=6), st.integers(0, 8))
def test_what_is_left_grows_whom_its_slow_twin_grows(
    jobs: list[Asked], start: list[int], sizes: list[int], room: int
) -> None:
    share = [size if job.rate[size] else NONE for job, size in zip(jobs, sizes, strict=False)]
    found = np.array(share)
    left = grow(columns(jobs), told(start), found, room)
    assert found.tolist() == slow_grow(jobs, UNITS, start, share, room)
    before, after = (sum(UNITS[s] for s in row if s >= 0) for row in (share, found.tolist()))
    assert before + room == after + left


@given(crowd, asked, starts)
def test_the_soonest_deadline_that_a_refusal_names_would_be_promised(
    jobs: list[Asked], late: Asked, start: list[int]
) -> None:
    late.size = NONE
    everybody, row = [*jobs, late], len(jobs)
    profile = all_free(0, CAPACITY, len(everybody) + 1)
    for at in range(row):
        fit(columns(everybody), at, told(start), profile)
    before = deepcopy(profile)
    found = fit(columns(everybody), row, told(start), profile)
    if found >= NONE:
        return
    why = refusal(columns(everybody), row, told(start), profile, found)
    assert why.code == ("deadline_too_soon" if found == TOO_SOON else "promised_to_others")
    assert isinstance(why.relaxation, Relaxation)
    to_at = int(why.relaxation.values["to_at"])
    assert late.until < to_at
    late.until = to_at - 1
    assert fit(columns(everybody), row, told(start), deepcopy(before)) < NONE
    late.until = to_at
    assert fit(columns(everybody), row, told(start), before) >= NONE


def test_a_job_that_has_time_runs_small_and_one_in_haste_runs_large() -> None:
    calm, hasty = Asked(100, 100, [1, 2, 3], NONE), Asked(12, 4, [1, 2, 3], NONE)
    share, profile = np.full(2, NONE), all_free(0, CAPACITY, 2)
    assert promise(columns([hasty, calm]), np.arange(2), told([0] * 3), profile, share, True)
    assert share.tolist() == [2, 0]


def test_a_free_unit_goes_where_it_does_most() -> None:
    scales, saturates = Asked(100, 100, [10, 19, 36], 0), Asked(100, 100, [10, 11, 12], 0)
    share = np.array([0, 0])
    assert grow(columns([saturates, scales]), told([0] * 3), share, 3) == 0
    assert share.tolist() == [0, 2]


def test_deadline_first_gives_the_first_all_that_it_can_hold() -> None:
    share = np.full(3, NONE)
    jobs = [Asked(9, 9, [1, 2, 3], NONE), Asked(9, 9, [1, 2, 3], NONE), Asked(9, 9, [1, 0, 3], 0)]
    assert largest_first(columns(jobs), told([0] * 3), share, CAPACITY) == 0
    assert share.tolist() == [2, 1, NONE]
