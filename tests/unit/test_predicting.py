"""Prediction from history: kernel and slow twin foresee the same, and what each promises."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.planner.logarithms import OCTAVE, exp2, log2
from intertie.planner.predicting import (
    ENDLESS_MS,
    correct,
    foresee,
    foresight_of,
    learn,
    reach,
    relive,
)
from tests.support.slow_foresight import SlowForesight

LENGTH = st.integers(1, 2**34)
JOB = st.tuples(st.integers(0, 2), st.integers(1, 3), LENGTH | st.just(ENDLESS_MS), LENGTH)


def columns(jobs: list[tuple[int, int, int, int]]) -> Any:
    return np.array(jobs, np.int64).reshape(-1, 4).T.copy()


@given(st.lists(JOB, min_size=1, max_size=30))
def test_kernel_and_slow_twin_foresee_the_same(jobs: list[tuple[int, int, int, int]]) -> None:
    user, units, limit, _ = columns(jobs)
    foresight, slow = foresight_of("history", user, units, limit), SlowForesight()
    for job, told in enumerate(jobs):
        assert list(foresee(foresight, job, told[0], told[2])) == slow.foresee(*told[:3])
        learn(foresight, job, told[0], told[2], told[3])
        slow.learn(*told)


@given(st.lists(JOB, min_size=1, max_size=30))
def test_nothing_is_foreseen_above_what_is_stated(jobs: list[tuple[int, int, int, int]]) -> None:
    user, units, limit, ran = columns(jobs)
    low, likely, high = relive(foresight_of("history", user, units, limit), user, limit, ran)
    assert 1 <= low <= likely <= high <= limit[-1]


def test_who_always_ends_at_a_tenth_is_foreseen_to_end_there() -> None:
    user, units, limit = (np.full(60, each) for each in (0, 4, 3_600_000))
    foresight = foresight_of("history", user, units, limit)
    _, likely, _ = relive(foresight, user, limit, limit // 10)
    assert abs(likely - 360_000) < 36_000


def test_a_new_user_is_foreseen_as_the_others_and_soon_as_itself() -> None:
    others, newcomer = [(0, 1, 3_600_000, 360_000)] * 50, (1, 1, 3_600_000, 3_000_000)
    at_first = relive_all([*others, newcomer])
    later = relive_all([*others, *[newcomer] * 40])
    assert abs(at_first - 360_000) < 40_000
    assert later > 2_000_000


def test_where_nothing_is_known_what_is_stated_is_expected() -> None:
    assert relive_all([(0, 1, 77_000, 5)]) == 77_000


def test_the_mean_of_the_last_two_is_that_of_the_user_alone() -> None:
    user, _, limit, _ = columns([(0, 1, 90_000, 1), (0, 1, 90_000, 1), (1, 1, 9, 9)])
    foresight = foresight_of("last-two", user, user, limit)
    learn(foresight, 0, 0, 90_000, 10_000)
    assert foresee(foresight, 1, 0, 90_000)[1] == 10_000
    learn(foresight, 1, 0, 90_000, 30_000)
    assert foresee(foresight, 1, 0, 90_000)[1] == 20_000
    assert foresee(foresight, 1, 0, 15_000)[1] == 15_000
    assert foresee(foresight, 2, 1, 90_000)[1] == 90_000


def test_room_is_counted_on_for_what_is_stated_and_else_for_the_longest_likely() -> None:
    none = np.zeros(1, np.int64)
    told = {name: foresight_of(name, none, none, none) for name in ("last-two", "history")}
    assert reach(told["history"], 5, 9, 20) == 20
    assert reach(told["history"], 5, 9, ENDLESS_MS) == 9
    assert reach(told["last-two"], 5, 9, 20) == 5


@given(LENGTH, LENGTH)
def test_a_job_that_runs_on_is_expected_to_end_later_than_now(stated: int, ran: int) -> None:
    found = correct(stated, ran)
    assert found > ran
    assert found <= max(stated, ran + 1, 2)


def test_of_lengths_that_do_not_change_their_kind_four_of_five_are_in_the_range() -> None:
    chance = np.random.default_rng(5)
    ran = (np.exp(chance.normal(0, 1.5, 4000)) * 600_000).astype(np.int64) + 1000
    user, units = chance.integers(0, 20, 4000), chance.integers(1, 5, 4000)
    limit = np.full(4000, ENDLESS_MS)
    foresight = foresight_of("history", user, units, limit)
    inside = 0
    for job in range(4000):
        low, _, high = foresee(foresight, job, user[job], limit[job])
        inside += bool(low <= ran[job] <= high)
        learn(foresight, job, user[job], limit[job], ran[job])
    assert 0.76 < inside / 4000 < 0.84


@given(st.integers(1, 2**62 - 1))
def test_logarithms_are_right_to_a_thousandth_of_an_octave(value: int) -> None:
    assert abs(int(log2(value)) - math.log2(value) * OCTAVE) < 2
    if value < 2**60:
        assert value * 0.997 - 1 <= int(exp2(log2(value))) <= value * 1.001


def test_a_larger_logarithm_is_of_a_larger_value() -> None:
    found = [int(exp2(at)) for at in range(30 * OCTAVE, 31 * OCTAVE)]
    assert all(one < other for one, other in pairwise(found))


def relive_all(jobs: list[tuple[int, int, int, int]]) -> int:
    user, units, limit, ran = columns(jobs)
    return int(relive(foresight_of("history", user, units, limit), user, limit, ran)[1])
