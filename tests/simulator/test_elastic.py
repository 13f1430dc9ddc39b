"""The replay of jobs with deadlines: worked examples, laws, and a slice of a real trace."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.simulator.elastic import NAMED, ElasticPolicy, replay, run
from intertie.simulator.running import Setting
from intertie.simulator.traces.deadlines import DeadlineTrace
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace

SLICE = Path(__file__).parent / "traces" / "itp-cluster03-with-deadlines-first-60.csv"
FREE = ElasticPolicy(are_starts_free=True)
Row = tuple[int, int, int, tuple[int, int, int]]
concave = st.sampled_from([(1, 2, 4), (2, 3, 4), (1, 1, 1), (3, 0, 5), (0, 2, 3)])
jobs = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 30), st.integers(1, 60), concave),
    min_size=1,
    max_size=8,
)


def a_trace(rows: list[Row], start_ms: int = 0) -> DeadlineTrace:
    """Return a trace of (submit, work, time until the deadline, rates), in milliseconds."""
    rows = sorted(rows, key=lambda row: row[0])
    submit, work, window = (np.array([row[at] for row in rows]) for at in range(3))
    rate = np.array([row[3] for row in rows])
    one, none = np.ones(len(rows), np.int64), np.zeros(len(rows), np.int64)
    return DeadlineTrace(
        submit,
        work,
        work,
        one,
        none,
        none,
        deadline_ms=submit + window,
        work=work,
        rate=rate,
        units_of=np.array([1, 2, 4]),
        starts_ms=np.full(3, start_ms),
    )


def test_a_job_alone_runs_at_its_best_size_and_pays_for_its_start() -> None:
    trace = a_trace([(5, 20, 40, (1, 2, 4))], start_ms=3)
    found = replay([trace], [4], NAMED["elastic-rigid"])[0]
    assert found.end_ms.tolist() == [25]
    quick = replay([trace], [4], ElasticPolicy())[0]
    assert (quick.start_ms[0], quick.end_ms[0]) == (5, 5 + 3 + 5)


def test_who_cannot_be_in_time_is_refused_and_told_when_he_could_be() -> None:
    trace = a_trace([(0, 40, 10, (1, 2, 4)), (0, 40, 10, (1, 2, 4)), (0, 50, 9, (1, 2, 4))])
    found = replay([trace], [4], FREE)[0]
    assert found.is_admitted.tolist() == [True, False, False]
    assert found.end_ms.tolist() == [10, -1, -1]
    codes = {job: each.code for job, each in found.refusals.items()}
    assert codes == {1: "promised_to_others", 2: "deadline_too_soon"}
    relaxation = found.refusals[1].relaxation
    assert relaxation is not None
    assert relaxation.values == {"to_at": 20}


def test_a_job_that_its_cluster_refuses_runs_where_there_is_room() -> None:
    busy = a_trace([(0, 40, 10, (1, 2, 4)), (0, 40, 10, (1, 2, 4))])
    idle = a_trace([(1, 1, 9, (1, 2, 4))])
    both = replay([busy, idle], [4, 8], FREE)
    assert both[0].end_ms.tolist() == [10, 10]
    assert both[0].refusals == {}


@given(jobs, st.sampled_from(sorted(NAMED)))
def test_who_is_admitted_ends_and_who_is_not_never_runs(rows: list[Row], name: str) -> None:
    trace = a_trace([(row[0], row[1], row[2], (1, 2, 4)) for row in rows], start_ms=1)
    found = replay([trace], [5], NAMED[name])[0]
    assert ((found.end_ms >= 0) == found.is_admitted).all()
    ran = found.is_admitted
    fastest = -(-trace.work // trace.rate.max(axis=1))
    assert (found.end_ms[ran] - found.start_ms[ran] >= fastest[ran]).all()
    assert set(found.refusals) == set(np.flatnonzero(~ran).tolist())


@given(jobs)
def test_a_promise_to_who_is_alone_is_kept_to_the_last_instant(rows: list[Row]) -> None:
    for row in rows:
        trace = a_trace([row])
        found = replay([trace], [4], FREE)[0]
        could = max(row[3]) * row[2] >= row[1]
        assert found.is_admitted[0] == could
        if could:
            assert found.end_ms[0] <= trace.deadline_ms[0]


def test_on_a_slice_of_a_real_cluster_promises_are_kept() -> None:
    trace = read_trace(SLICE)
    assert isinstance(trace, DeadlineTrace)
    assert (len(trace), trace.deadline_ms[0], trace.units[0]) == (60, 912_694_000, 32)
    ours, edf = (run(name, trace, Setting(128)).measures for name in ("elastic", "edf"))
    assert ours["kept_share"] == 1
    assert edf["met_share"] < ours["met_share"] <= ours["could_alone_share"]
    rigid = run("elastic-rigid", trace, Setting(512)).measures
    assert rigid["met_share"] <= rigid["could_as_asked_share"]


def test_the_duration_of_the_file_is_that_of_its_iterations_at_the_size_asked_for() -> None:
    trace = read_trace(SLICE)
    size = np.searchsorted(trace.units_of, trace.units)
    rate = trace.rate[np.arange(len(trace)), size]
    assert (np.abs(trace.work / rate - trace.run_ms) <= 0.01 * trace.run_ms + 1000).all()


def test_the_first_jobs_of_a_trace_keep_all_sizes() -> None:
    trace = read_trace(SLICE)
    few = trace.first(len(trace.units_of))
    assert len(few) == len(few.rate) == len(trace.units_of) == len(few.first(3).units_of)


def test_what_cannot_be_run_is_told() -> None:
    trace = read_trace(SLICE)
    with pytest.raises(BadTrace, match="add --capacity"):
        run("elastic", trace, Setting())
    with pytest.raises(BadTrace, match="of 8: give at least 64"):
        run("elastic-rigid", trace, Setting(8))
    odd = replace(trace, units=np.full(len(trace), 3))
    with pytest.raises(BadTrace, match="other sizes than"):
        run("elastic-rigid", odd, Setting(8))
