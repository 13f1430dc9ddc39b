"""The policies of a queue: nothing is read that nobody knew then, and nobody waits for ever."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from intertie.simulator.policies import policies_for
from intertie.simulator.queueing import EASY_PATIENT, QUEUEING
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.running import Setting
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Trace, in_order

SLICES = Path(__file__).parent / "traces"
KTH = read_trace(SLICES / "kth-sp2-first-400.swf")
ITP = read_trace(SLICES / "itp-cluster03-first-60.csv")
PREDICTING = {"easy++": QUEUEING["easy++"], "easy-patient": EASY_PATIENT}


def with_run(trace: Trace, job: int, run_ms: int) -> Trace:
    """The same trace, in which one job takes another time."""
    run = trace.run_ms.copy()
    run[job] = run_ms
    return replace(trace, run_ms=run, length_ms=trace.length_ms if trace.is_stated else run)


def a_long_one_among_short_ones() -> tuple[Trace, int]:
    """One job at a time of a minute each, for longer than a day; one of ten minutes comes early."""
    short = [(60_000 * at, 60_000, 60_000, 1, 0) for at in range(2000)]
    trace = in_order([*short, (30_000, 600_000, 600_000, 1, 1)])
    return trace, int(np.flatnonzero(trace.run_ms == 600_000)[0])


@pytest.mark.parametrize("name", sorted(PREDICTING))
@pytest.mark.parametrize(("trace", "capacity"), [(KTH, 40), (ITP, 64)], ids=["kth", "itp"])
def test_no_start_depends_on_how_long_a_job_takes_that_has_not_ended(
    name: str, trace: Trace, capacity: int
) -> None:
    trace = replace(trace, units=np.minimum(trace.units, capacity))
    starts = replay(trace, capacity, PREDICTING[name])
    for job in range(5, len(trace), len(trace) // 12):
        other = with_run(trace, job, max(1000, int(trace.run_ms[job]) // 3))
        found = replay(other, capacity, PREDICTING[name])
        ended = min(starts[job] + trace.run_ms[job], found[job] + other.run_ms[job])
        before = (starts < ended) | (found < ended)
        assert (starts[before] == found[before]).all()


def test_every_policy_stands_in_the_register_by_its_name_in_the_field() -> None:
    assert set(policies_for(KTH)) >= set(QUEUEING)


def test_an_order_may_be_asked_for_and_lengths_may_be_foreseen() -> None:
    kth = replace(KTH, units=np.minimum(KTH.units, 40))
    easy = policies_for(kth)["easy"]
    plain, ordered, foreseen, known = (
        easy.run(kth, Setting(capacity=40, lengths=lengths, order=order)).jobs["start_ms"]
        for lengths, order in (
            ("stated", ""),
            ("stated", "shortest-first"),
            ("predicted", ""),
            ("true", ""),
        )
    )
    policies = (
        ReplayPolicy(order="shortest-first"),
        ReplayPolicy(predictor="history"),
        ReplayPolicy(is_perfect=True),
    )
    for found, policy in zip((ordered, foreseen, known), policies, strict=True):
        assert (found == replay(kth, 40, policy)).all()
        assert (found != plain).any()


def test_a_long_job_is_not_passed_for_ever_by_shorter_ones() -> None:
    trace, long = a_long_one_among_short_ones()
    waits = {
        patience_s: int(replay(trace, 1, policy)[long] - trace.submit_ms[long]) // 1000
        for patience_s in (0, 3600)
        for policy in [ReplayPolicy(order="shortest-first", patience_s=patience_s)]
    }
    assert waits[0] > 100_000
    assert 3600 < waits[3600] <= 3600 + 120


def test_ageing_forgives_a_minute_of_length_for_each_hour_of_waiting() -> None:
    trace, long = a_long_one_among_short_ones()
    start = replay(trace, 1, ReplayPolicy(order="ageing"))[long] // 1000
    assert 9 * 3600 <= start - 30 <= 9 * 3600 + 120
