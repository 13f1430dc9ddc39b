"""Jobs that take turns: the kernel and its slow twin, orders and divisions, and their laws."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intertie.placement import portions, slices
from intertie.placement.given import Ints
from intertie.placement.slices import NOWHERE, Candidates, fill_slice
from intertie.planner.epochs import Learning, left_ms
from intertie.simulator.policies import policies_for
from intertie.simulator.rounds import Moment, run_sliced
from intertie.simulator.running import Setting
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.sliced import SlicedTrace
from intertie.simulator.traces.trace import BadTrace
from tests.simulator.slow_slices import SlowJob, slow_ends

SLICES = Path(__file__).parent / "traces"
SHOCKWAVE = (SLICES / "shockwave-first-30.trace", SLICES / "shockwave-throughputs.json")
GAVEL = (SLICES / "gavel-ed69ec-jobs-23-62.trace", SLICES / "gavel-throughputs.json")
DEVICES = {"one class": [6, 0, 0], "three classes": [4, 2, 2]}


def ints(*numbers: int) -> Ints:
    return np.array(numbers, np.int64)


@pytest.fixture(scope="module")
def shockwave() -> SlicedTrace:
    trace: SlicedTrace = read_trace(*SHOCKWAVE)
    return trace


# Readers


def test_a_trace_of_shockwave_is_read_with_what_its_jobs_do(shockwave: SlicedTrace) -> None:
    assert (len(shockwave), shockwave.classes) == (30, ("v100", "p100", "k80"))
    assert shockwave.submit_ms[:3].tolist() == [0, 55_000, 64_000]
    assert shockwave.units[22] == 4
    # A language model doubles from 10 to 80; its profile takes what was published of it.
    assert shockwave.levels[0] == 4
    assert shockwave.rises[0, :3].tolist() == [11, 21, 41]
    assert shockwave.alone_ms[0] == pytest.approx(1_224_800, abs=100)
    assert shockwave.alone_ms[1] == pytest.approx(2_996_000, abs=100)


def test_a_trace_of_gavel_never_changes_and_knows_three_classes() -> None:
    trace = read_trace(*GAVEL)
    assert len(trace) == 40
    assert not trace.mode.any()
    assert set(trace.speed_micro[:, 0].argmax(axis=1)) == {0, 1}  # not all are fastest on V100


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("LM (batch size 10)\t1", "2 fields, not 12 or 7"),
        ("LM (batch size 10)\t-\t-\t1\tx\t0\t1", "x"),
        ("LM (batch size 10)\t-\t-\t1\t5\t0\t64", "on 64 devices was never measured"),
        ("LM (batch size 10)\t-\t-\t1\t5\t0\t0", "units is 0"),
        ("Elsewhere\t-\t-\t1\t5\t0\t1", "was never measured"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text(line + "\n")
    with pytest.raises(BadTrace, match=f"a.trace:1.*{message}"):
        read_trace(path, SHOCKWAVE[1])


def test_steps_without_a_table_of_speeds_ask_for_it(tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match="add --throughputs FILE"):
        read_trace(SHOCKWAVE[0])
    broken = tmp_path / "broken.json"
    broken.write_text('{"v100": {"LM": 3}}')
    with pytest.raises(BadTrace, match=r"broken\.json: no table of throughputs"):
        read_trace(SHOCKWAVE[0], broken)


# Kernel and twin


@pytest.mark.parametrize("devices", DEVICES.values(), ids=DEVICES)
@pytest.mark.parametrize("files", [SHOCKWAVE, GAVEL], ids=["shockwave", "gavel"])
def test_kernel_and_slow_twin_end_every_job_at_the_same_instant(
    files: tuple[Path, Path], devices: list[int]
) -> None:
    trace = read_trace(*files)

    def first_come(moment: Moment) -> Ints:
        return np.arange(len(moment.rows))

    def pick(jobs: list[SlowJob], now: int) -> list[tuple[SlowJob, int]]:
        free, picked = list(devices), []
        for job in jobs:
            speeds = trace.speed_micro[job.row, job.level]
            fits = [
                kind for kind in range(3) if free[kind] >= trace.units[job.row] and speeds[kind] > 0
            ]
            if fits:
                kind = max(fits, key=lambda kind: (speeds[kind], -kind))
                free[kind] -= int(trace.units[job.row])
                picked.append((job, kind))
        return picked

    learners, (_, spent) = run_sliced(trace, ints(*devices), first_come)
    assert learners.end_ms.tolist() == slow_ends(trace, pick, 120_000)
    assert spent[-1] == (learners.served_ms * trace.units).sum()


jobs_of_some_kind = st.lists(
    st.tuples(st.sampled_from([1, 2, 4]), st.lists(st.integers(0, 3), min_size=2, max_size=2)),
    min_size=1,
    max_size=12,
)


@given(jobs_of_some_kind, st.lists(st.integers(0, 6), min_size=2, max_size=2), st.booleans())
@settings(deadline=None)
def test_a_slice_is_never_oversold_and_never_left_idle(
    jobs: list[tuple[int, list[int]]], free: list[int], is_by_speed: bool
) -> None:
    units, speed = ints(*(job[0] for job in jobs)), np.array([job[1] for job in jobs], np.int64)
    left = ints(*free)
    where = fill_slice(np.arange(len(jobs)), units, speed, left, is_by_speed)
    for kind, most in enumerate(free):
        assert units[where == kind].sum() == most - left[kind] <= most
    assert all(speed[job, kind] > 0 for job, kind in enumerate(where) if kind != NOWHERE)
    for job in np.flatnonzero(where == NOWHERE):
        assert not ((left >= units[job]) & (speed[job] > 0)).any()


# Orders


def candidates(*rows: tuple[int, int, int, int]) -> Candidates:
    """Jobs of (devices, time left, when it came, time had), in seconds, on one class."""
    units, left, came, had = np.array(rows, np.int64).T
    return Candidates(units, np.ones((len(rows), 1), np.int64), left * 1000, came * 1000,
                      had * 1000)  # fmt: skip


def test_shortest_counts_devices_and_least_served_what_was_had() -> None:
    jobs = candidates((4, 30, 0, 5), (1, 100, 0, 30), (1, 100, 0, 10))
    assert slices.shortest(jobs).tolist() == [1, 2, 0]
    assert slices.least_served(jobs).tolist() == [2, 0, 1]


def test_who_would_be_latest_beside_a_fair_part_goes_first() -> None:
    jobs = candidates((1, 100, 0, 0), (1, 10, 0, 0), (1, 100, 90, 0))
    assert slices.finish_time(100_000, jobs, 1000).tolist() == [1, 0, 2]


def test_balanced_takes_the_last_to_end_then_the_late_then_the_short() -> None:
    jobs = candidates((1, 9000, 0, 0), (1, 2000, 0, 0), (1, 300, 0, 0), (1, 500, -5000, 400))
    order = slices.balanced(0, jobs, 3000, ints(1), 120_000)
    # 9 000 s on the one device are less than all work; the fourth is 2 300 s overdue.
    assert order.tolist() == [3, 2, 1, 0]
    order = slices.balanced(0, jobs, 3000, ints(2), 120_000)
    assert order.tolist() == [0, 3, 2, 1]


def test_where_nobody_waits_balanced_is_shortest_first() -> None:
    jobs = candidates((1, 9000, 0, 0), (1, 500, -5000, 400))
    assert slices.balanced(0, jobs, 3000, ints(2), 120_000).tolist() == [1, 0]


# Divisions


many_units = st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=60)


@given(many_units, st.integers(8, 64))
def test_max_min_gives_the_least_as_much_as_can_be(units: list[int], devices: int) -> None:
    of = ints(*units)
    parts = portions.max_min(of, devices)
    assert (parts >= 0).all()
    assert (parts <= portions.WHOLE).all()
    assert (parts * of).sum() <= devices * portions.WHOLE
    most = min(Fraction(devices, len(units)), Fraction(min(units)))
    assert (parts * of).min() >= int(most * portions.WHOLE) - max(units)


@given(st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 10**9)), min_size=1,
                max_size=30), st.integers(4, 32))  # fmt: skip
def test_most_steps_gives_device_time_to_the_fastest_by_device(
    jobs: list[tuple[int, int]], devices: int
) -> None:
    units, speed = np.array(jobs, np.int64).T
    parts = portions.most_steps(units, speed, devices)
    served = parts > portions.LEAST
    for slow in np.flatnonzero(~served):
        for fast in np.flatnonzero(served):
            assert speed[slow] * 1000 // units[slow] <= speed[fast] * 1000 // units[fast]
    used = (parts[served] * units[served]).sum()
    assert used <= devices * portions.WHOLE
    assert (parts > 0).all()


@given(st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 10**8)), min_size=1,
                max_size=40), st.integers(4, 32))  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_least_makespan_lets_all_end_nearly_as_soon_as_can_be(
    jobs: list[tuple[int, int]], devices: int
) -> None:
    units, left = np.array(jobs, np.int64).T
    parts = portions.least_makespan(units, left, devices)
    assert (parts * units).sum() <= devices * portions.WHOLE
    assert (parts <= portions.WHOLE).all()
    least = max(int(left.max()), -(-int((units * left).sum()) // devices))
    takes = (left * portions.WHOLE / np.maximum(parts, 1)).max()
    assert takes <= max(1.06 * least, portions.SHORTEST_MS * 1.06)


def test_who_is_furthest_behind_its_part_goes_first_and_who_came_later_waits() -> None:
    told = portions.no_portions(4, 120_000)
    rows = np.arange(3)
    portions.divide(told, 0, rows, ints(5, 5, 9) * 10**8, 120_000)
    told.had_ms[:3] += ints(120_000, 0, 120_000)
    assert portions.by_portion(told, np.arange(4)).tolist() == [1, 2, 0]
    portions.divide(told, 240_000, rows, ints(5, 5, 5) * 10**8, 120_000)
    # All are promised the same now; the second was left shortest of what it had been promised.
    assert told.behind[:3].tolist() == [0, 120_000, 96_000]
    assert portions.by_portion(told, np.arange(4)).tolist() == [1, 2, 0]


# Prediction


epochs = st.integers(1, 300)


@given(epochs, st.lists(epochs, min_size=3, max_size=3), st.lists(st.booleans(), min_size=3,
       max_size=3), st.lists(st.integers(1, 10**7), min_size=3, max_size=3),
       st.integers(0, 300_000))  # fmt: skip
def test_what_is_left_is_the_posterior_mean_over_known_levels(
    all_epochs: int, seen: list[int], known: list[bool], each_us: list[int], left: int
) -> None:
    known = known if any(known) else [True] * 3
    told = left_ms(
        Learning(ints(all_epochs), ints(left), np.array([seen]), np.array([known], np.int64),
                 np.array([each_us]))
    )  # fmt: skip
    levels = [level for level in range(3) if known[level]]
    total = all_epochs + sum(seen[level] for level in levels)
    to_come = {
        level: max(Fraction(0), Fraction(all_epochs, total)
                   * (Fraction(all_epochs, len(levels)) + seen[level]) - seen[level])
        for level in levels
    }  # fmt: skip
    if not sum(to_come.values()):
        to_come = dict.fromkeys(levels, Fraction(1))
    mean = sum(to_come[level] * each_us[level] for level in levels) / sum(to_come.values())
    assert int(told[0]) == pytest.approx(float(mean * left / 10**6), rel=0.01, abs=1 + left / 100)


# Policies


def test_every_policy_runs_every_job_and_twice_the_same(shockwave: SlicedTrace) -> None:
    for policy in policies_for(shockwave).values():
        one, two = (policy.run(shockwave, Setting(capacity=8)) for _ in range(2))
        assert (one.jobs["end_ms"] > one.jobs["start_ms"]).all()
        assert (one.jobs["start_ms"] >= one.jobs["submit_ms"]).all()
        assert all((one.jobs[name] == two.jobs[name]).all() for name in one.jobs)
        assert one.measures == two.measures


def test_balanced_is_fairer_than_gavel_and_ends_sooner(shockwave: SlicedTrace) -> None:
    policies = policies_for(shockwave)
    setting = Setting(capacity=8)
    ours, gavel = (policies[name].run(shockwave, setting).measures
                   for name in ("balanced", "max-min"))  # fmt: skip
    assert ours["makespan_s"] < gavel["makespan_s"]
    assert ours["jct_mean_s"] < gavel["jct_mean_s"]
    assert ours["rho_max"] < gavel["rho_max"]


def test_knowing_where_a_job_is_fast_ends_jobs_sooner() -> None:
    trace = read_trace(*GAVEL)
    devices = (("v100", 1), ("p100", 1), ("k80", 1))
    setting, policies = Setting(devices=devices, slice_ms=3_600_000), policies_for(trace)
    knowing, blind = (policies[name].run(trace, setting).measures
                      for name in ("shortest", "shortest-blind"))  # fmt: skip
    assert knowing["jct_mean_s"] < blind["jct_mean_s"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (Setting(), "add --devices"),
        (Setting(capacity=2), "a job asks for 4 devices"),
        (Setting(devices=(("h100", 4),)), "h100 is no class of its table: v100, p100, k80"),
    ],
)
def test_a_machine_that_cannot_hold_the_jobs_is_refused(
    setting: Setting, message: str, shockwave: SlicedTrace
) -> None:
    with pytest.raises(BadTrace, match=message):
        policies_for(shockwave)["balanced"].run(shockwave, setting)
