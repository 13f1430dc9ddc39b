"""The replay of jobs that may be paused: against its slow twin, and on a slice of a real trace."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.simulator.policies import policies_for
from intertie.simulator.preemptive import PATIENCE_US, replay
from intertie.simulator.running import Setting
from intertie.simulator.traces.muri import PausableTrace
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace

SLICE = Path(__file__).parent / "traces" / "muri-trace3-first-60.csv"
CAPACITY = 4
rows = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(1, 30_000), st.integers(0, 3_000), st.integers(1, CAPACITY)
    ),
    min_size=1,
    max_size=7,
)


def a_trace(told: list[tuple[int, int, int, int]]) -> PausableTrace:
    """Return a trace of (submit in ms, work and restart in us, units) on one node."""
    submit, work, restart, units = np.array(sorted(told, key=lambda row: row[0])).T.copy()
    none = np.zeros(len(told), np.int64)
    run = -(-work // 1000)
    return PausableTrace(submit, run, run, units, none, none, 0, work, restart, CAPACITY)


def slow_ends(trace: PausableTrace, order: str) -> list[int]:
    """Return when each job ends: one event after another, on one node where units just add up."""
    left = dict(enumerate(trace.work_us.tolist()))
    submit, units = (trace.submit_ms * 1000).tolist(), trace.units.tolist()
    now, end, queue, running = 0, {}, [], set()
    coming = list(range(len(trace)))
    while coming or queue:
        instants = [now + left[job] for job in running] + [submit[job] for job in coming[:1]]
        elapsed, now = min(instants) - now, min(instants)
        for job in running:
            if left[job] == elapsed:
                end[job] = now
            else:
                left[job] -= max(0, elapsed - int(trace.restart_us[job]))
        while coming and submit[coming[0]] == now:
            queue.append(coming.pop(0))
        queue = [job for job in queue if job not in end]
        queue.sort(key=lambda job: left[job] * (units[job] if order == "srsf" else 1))
        running, room = set(), CAPACITY
        for job in queue:
            if units[job] <= room:
                room -= units[job]
                running.add(job)
    return [end[job] for job in range(len(trace))]


@given(rows, st.sampled_from(["srtf", "srsf"]))
def test_jobs_end_when_the_slow_twin_ends_them(
    told: list[tuple[int, int, int, int]], order: str
) -> None:
    trace = a_trace(told)
    assert replay(trace, CAPACITY, order).end_us.tolist() == slow_ends(trace, order)


@given(rows)
def test_with_endless_patience_who_ages_stands_as_if_he_did_not(
    told: list[tuple[int, int, int, int]],
) -> None:
    trace = a_trace(told)
    aged = replay(trace, CAPACITY, "srsf-aged", patience_us=2**50)
    assert aged.end_us.tolist() == replay(trace, CAPACITY, "srsf").end_us.tolist()


def test_a_large_job_is_not_starved_by_ever_new_small_ones() -> None:
    small = [(at, 1_000, 0, 1) for at in range(1, 400)]
    trace = a_trace([(0, 40_000, 0, CAPACITY), *small])
    starved = replay(trace, CAPACITY, "srsf").end_us[0]
    aged = replay(trace, CAPACITY, "srsf-aged", patience_us=1_000).end_us[0]
    assert aged < starved / 2


@pytest.mark.parametrize("order", ["srtf", "srsf", "srsf-aged", "las"])
def test_every_order_runs_a_slice_of_the_real_trace(order: str) -> None:
    trace = read_trace(SLICE)
    assert isinstance(trace, PausableTrace)
    assert (len(trace), trace.work_us[0], trace.units[0]) == (60, 1_046_811 * 886 * 1015, 4)
    found = policies_for(trace)[order].run(trace, Setting())
    assert found.measures["jobs"] == 60
    assert (found.jobs["end_ms"] - found.jobs["submit_ms"] >= trace.work_us // 1000).all()


def test_one_node_of_eight_is_never_split_between_two_jobs_of_eight() -> None:
    trace = read_trace(SLICE)
    wide = replace(trace, units=np.full(len(trace), 8))
    at_once = replay(wide, 12, "srsf", PATIENCE_US).start_us
    alone = replay(wide, 8, "srsf", PATIENCE_US).start_us
    assert at_once.tolist() == alone.tolist()


def test_a_job_larger_than_the_machine_is_told() -> None:
    with pytest.raises(BadTrace, match="of 3: give at least 4"):
        replay(a_trace([(0, 5, 0, CAPACITY)]), CAPACITY - 1, "srtf")
