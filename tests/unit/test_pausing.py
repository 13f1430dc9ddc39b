"""Orders of jobs that may be paused: their keys, and what a key must not do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.pausing import (
    AGED,
    LAS,
    MOST_SERVICE,
    SRSF,
    SRTF,
    Pausable,
    keys,
    levels,
    time_to_level,
)

LIMITS = np.array([10, 30])
Row = tuple[int, int, int, int, int, int]
jobs = st.lists(
    st.tuples(
        st.integers(0, 2**40),
        st.integers(0, 40),
        st.integers(1, 8),
        st.integers(0, 2**40),
        st.integers(0, 2),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)


def told(rows: list[Row]) -> Pausable:
    return Pausable(*(np.array(column) for column in zip(*rows, strict=True)))


def key(order: int, row: Row, patience: int) -> int:
    """Return one job's key, written to be read."""
    left, served, units, age, level, runs = row
    if order == SRTF:
        return left
    if order == SRSF:
        return left * units
    if order == AGED:
        return left * units * 1024 // (1024 + age * 1024 // patience)
    reached = sum(served * units >= limit for limit in LIMITS.tolist())
    if reached != level:
        return reached * 3 + 2
    return reached * 3 + (0 if runs else 1)


@given(jobs, st.sampled_from([SRTF, SRSF, AGED, LAS]), st.integers(1, 2**40))
def test_keys_are_those_of_their_slow_twin(rows: list[Row], order: int, patience: int) -> None:
    found = keys(order, told(rows), patience, LIMITS).tolist()
    assert found == [key(order, row, patience) for row in rows]


@given(st.integers(1, MOST_SERVICE - 1), st.integers(0, 2**50), st.integers(1, 2**50))
def test_who_waits_longer_never_stands_further_back(left: int, age: int, patience: int) -> None:
    younger, older = (left, 0, 1, age, 0, 0), (left, 0, 1, age + patience, 0, 0)
    first, second = keys(AGED, told([younger, older]), patience, LIMITS).tolist()
    assert 0 <= second <= first <= left


@given(jobs)
def test_a_job_comes_to_its_next_level_exactly_when_it_is_said_to(rows: list[Row]) -> None:
    before = told(rows)
    steps = time_to_level(before, LIMITS)
    after = before._replace(served=before.served + steps)
    almost = before._replace(served=before.served + np.maximum(0, steps - 1))
    is_last = levels(before, LIMITS) == len(LIMITS)
    assert (steps[is_last] == 0).all()
    assert (levels(after, LIMITS)[~is_last] > levels(before, LIMITS)[~is_last]).all()
    assert (levels(almost, LIMITS) == levels(before, LIMITS)).all()
