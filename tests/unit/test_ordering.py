"""The orders of the queue: kernel and slow twin agree, and what each order promises."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.given import LARGEST
from intertie.placement.ordering import ORDERS, PRIORITY_MAX, STATIC, queue_key, queue_keys
from tests.support.slow_ordering import slow_key

INSTANT = st.integers(0, 2**44 - 1)
JOB = {
    "order": st.integers(0, len(ORDERS) - 1),
    "submit_ms": INSTANT,
    "length_ms": INSTANT,
    "units": st.integers(0, 2**40),
    "deadline_ms": INSTANT,
    "priority": st.integers(-PRIORITY_MAX, PRIORITY_MAX),
    "now_ms": INSTANT,
    "patience_ms": st.just(LARGEST) | INSTANT,
}


def key_of(order: str, **known: int) -> int:
    job = {"submit_ms": 0, "length_ms": 60_000, "units": 1, "deadline_ms": 0, "priority": 0}
    job |= {"now_ms": 0, "patience_ms": LARGEST} | known
    return int(queue_key(ORDERS.index(order), **job))


@given(st.fixed_dictionaries(JOB))
def test_kernel_and_slow_twin_agree_and_stay_in_bounds(job: dict[str, int]) -> None:
    found = int(queue_key(**job))
    assert found == slow_key(**job)
    assert abs(found) < 2**62


@given(st.fixed_dictionaries(JOB), INSTANT)
def test_a_static_order_does_not_change_while_a_job_waits(job: dict[str, int], now: int) -> None:
    job |= {"order": job["order"] % len(STATIC), "patience_ms": LARGEST}
    assert queue_key(**job) == queue_key(**(job | {"now_ms": now}))


@given(st.fixed_dictionaries(JOB), st.fixed_dictionaries(JOB))
def test_the_higher_priority_goes_first_whatever_the_rest(
    one: dict[str, int], other: dict[str, int]
) -> None:
    other |= {"order": one["order"]}
    if one["priority"] > other["priority"]:
        assert queue_key(**one) < queue_key(**other)


@given(st.fixed_dictionaries(JOB), st.fixed_dictionaries(JOB))
def test_who_has_lost_patience_goes_before_all_of_the_same_priority(
    one: dict[str, int], other: dict[str, int]
) -> None:
    shared = ("order", "priority", "now_ms", "patience_ms")
    other |= {name: one[name] for name in shared}
    has_lost = [job["now_ms"] - job["submit_ms"] > job["patience_ms"] for job in (one, other)]
    if has_lost == [True, False]:
        assert queue_key(**one) < queue_key(**other)


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [
        ("fifo", {"submit_ms": 1}, {"submit_ms": 2}),
        ("shortest-first", {"length_ms": 1, "units": 9}, {"length_ms": 2}),
        ("smallest-area-first", {"length_ms": 2, "units": 3}, {"length_ms": 7}),
        ("narrowest-first", {"length_ms": 9}, {"length_ms": 1, "units": 2}),
        ("deadline-first", {"deadline_ms": 99}, {"deadline_ms": 0}),
        ("ageing", {"length_ms": 60_000}, {"submit_ms": 90_000, "length_ms": 59_000}),
        ("expansion-first", {"length_ms": 20_000}, {"length_ms": 30_000}),
        ("wfp3", {"units": 2}, {"units": 1}),
    ],
)  # fmt: skip
def test_each_order_puts_first_whom_it_says(order: str, first: Any, second: Any) -> None:
    now = {"now_ms": 100_000}
    assert key_of(order, **now, **first) < key_of(order, **now, **second)


def test_an_order_that_changes_with_time_lets_a_long_job_overtake_in_the_end() -> None:
    long, short = {"length_ms": 600_000}, {"submit_ms": 5_000_000, "length_ms": 60_000}
    for order in set(ORDERS) - set(STATIC):
        assert key_of(order, now_ms=5_300_000, **long) < key_of(order, now_ms=5_300_000, **short)
        assert key_of(order, now_ms=9_000_000, **long) > key_of(order, now_ms=9_000_000, **short)


def test_keys_by_column_are_the_keys_one_by_one() -> None:
    columns = [np.arange(5, dtype=np.int64) * step for step in (7, 13, 1, 3, 1)]
    found = queue_keys(2, *columns, 100, 50)
    assert found.tolist() == [queue_key(2, *row, 100, 50) for row in zip(*columns, strict=True)]
