"""Reports of simulated runs: tables, intervals, one page; and pieces that run by themselves."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.simulator import piece as pieces
from intertie.simulator.piece import Piece, UnknownValue, pieces_of, read_outcome, run_piece
from intertie.simulator.report import measures
from intertie.simulator.report.plots import Line, plot
from intertie.simulator.report.resampling import intervals
from intertie.simulator.report.tables import can_write, write_jobs
from intertie.simulator.report.writing import write_report
from intertie.simulator.running import Outcome, Setting
from intertie.simulator.traces.trace import BadTrace

SLICES = Path(__file__).parent / "traces"
KTH = SLICES / "kth-sp2-first-400.swf"
SHOCKWAVE = SLICES / "shockwave-first-30.trace"
SPEEDS = SLICES / "shockwave-throughputs.json"
needs_parquet = pytest.mark.skipif(not can_write(), reason="pyarrow: install intertie[reports]")


def outcome(*jobs: tuple[int, int, int, int]) -> Outcome:
    """What became of jobs of (submission, start, end) in seconds, and units."""
    columns = np.array(jobs, np.int64).T
    names = ("submit_ms", "start_ms", "end_ms", "units")
    scale = (1000, 1000, 1000, 1)
    return Outcome({}, {name: column * by for name, column, by in
                        zip(names, columns, scale, strict=True)})  # fmt: skip


# Pieces


def test_a_sweep_is_every_combination_and_a_queue_is_named_by_its_backfill() -> None:
    sweeps = {"backfill": ["fcfs", "easy"], "lengths": ["stated", "true"]}
    found = pieces_of(KTH, None, ["first-fit"], Setting(), sweeps)
    assert [each.label for each in found] == [
        "fcfs lengths=stated",
        "fcfs lengths=true",
        "easy lengths=stated",
        "easy lengths=true",
    ]
    assert found[3].setting == Setting(lengths="true")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("colour", "red", "'colour' is none of policy, backfill, capacity, lengths"),
        ("capacity", "many", "capacity is a whole number, not 'many'"),
        ("is_by_event", "perhaps", "is_by_event is yes or no"),
    ],
)
def test_what_cannot_be_swept_is_said_with_what_can(name: str, value: str, message: str) -> None:
    with pytest.raises(UnknownValue, match=message):
        pieces_of(KTH, None, ["easy"], Setting(), {name: [value]})


@pytest.mark.parametrize(
    "asked",
    [
        Piece(KTH, None, "easy", Setting(seed=3), "easy"),
        Piece(SHOCKWAVE, SPEEDS, "balanced", Setting(devices=(("v100", 6),)), "balanced"),
    ],
    ids=["queue", "turns"],
)
def test_a_piece_by_itself_ends_as_it_does_here_bit_by_bit(asked: Piece, tmp_path: Path) -> None:
    folder = tmp_path / "piece"
    pieces.write_piece(asked, folder)
    assert pieces.main([str(folder)]) == 0
    there, here = read_outcome(folder), run_piece(asked)
    assert there.measures == here.measures
    assert {name: column.tobytes() for name, column in there.jobs.items()} == {
        name: column.tobytes() for name, column in here.jobs.items()
    }


def test_a_piece_that_cannot_be_run_says_why_to_whoever_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "piece"
    pieces.write_piece(Piece(SHOCKWAVE, None, "balanced", Setting(), "balanced"), folder)
    assert pieces.main([str(folder)]) == 1
    with pytest.raises(BadTrace, match="add --throughputs"):
        read_outcome(folder)


# What is drawn


def test_occupancy_counts_units_by_the_time_they_are_held() -> None:
    hours, held = measures.in_use(outcome((0, 0, 7200, 2), (0, 3600, 7200, 3)), 7_200_000)
    assert hours[0] < hours[-1] < 2
    assert held[0] == pytest.approx(2)
    assert held[-1] == pytest.approx(5)


times = st.tuples(st.integers(0, 999), st.integers(0, 999), st.integers(1, 999), st.integers(1, 64))


@given(st.lists(times, min_size=1, max_size=20))
def test_what_is_held_over_time_is_what_jobs_held(jobs: list[tuple[int, int, int, int]]) -> None:
    told = outcome(*((came, came + wait, came + wait + run, units)
                     for came, wait, run, units in jobs))  # fmt: skip
    first, last = int(told.jobs["submit_ms"].min()), int(told.jobs["end_ms"].max())
    _, held = measures.in_use(told, last)
    spent = sum(run * units for _, _, run, units in jobs)
    span_s = max(last - first, measures.BINS) / 1000
    assert sum(held) / measures.BINS * span_s == pytest.approx(spent)


def test_slowdown_is_told_by_powers_of_two_of_a_jobs_units() -> None:
    told = outcome((0, 0, 100, 1), (0, 100, 200, 3), (0, 300, 400, 4), (0, 900, 1000, 16))
    assert measures.by_size(told) == (["1", "3–4", "9–16"], [1.0, 3.0, 10.0])


def test_a_plot_is_whole_and_well_formed_and_names_its_lines() -> None:
    drawn = plot([Line("a < b", [0, 1, 2], [1, 10, 100]), Line("c", [0, 2], [5, 5])], "x", "y & z",
                 is_log=True)  # fmt: skip
    root = ElementTree.fromstring(drawn)
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert {"a < b", "c", "x", "y & z"} <= set(texts)
    assert len([each for each in root.iter() if each.tag.endswith("polyline")]) == 2


# How sure


def test_intervals_hold_the_mean_come_again_with_their_seed_and_tell_the_gap() -> None:
    rng = np.random.default_rng(5)
    jobs = [(at * 10, at * 10 + int(rng.integers(0, 900)), at * 10 + 1000, 1) for at in range(300)]
    slower = [(came, start + 50, end + 50, units) for came, start, end, units in jobs]
    outcomes = {"one": outcome(*jobs), "two": outcome(*slower)}
    found = intervals(outcomes, 7)
    low, high = found["one"]["wait_mean_s"]
    assert low < measures.waits_s(outcomes["one"]).mean() < high
    assert found["two"]["wait_mean_s_less"] == pytest.approx((-50, -50))
    assert intervals(outcomes, 7) == found
    assert intervals(outcomes, 8) != found


# Reports


@needs_parquet
def test_two_runs_leave_the_same_bytes_and_a_page_that_needs_no_network(tmp_path: Path) -> None:
    found = []
    for at in range(2):
        outcomes = {
            each.label: run_piece(each)
            for each in pieces_of(KTH, None, ["fcfs", "easy"], Setting(), {})
        }
        write_report({KTH.name: outcomes}, 4, "intertie simulate", "en", tmp_path / str(at))
        found.append({path.name: path.read_bytes() for path in (tmp_path / str(at)).iterdir()})
    assert found[0] == found[1]
    assert set(found[0]) == {f"{KTH.name}.jobs.parquet", "report.html", "scoreboard.json"}
    page = found[0]["report.html"].decode()
    assert not re.search(r'(src|href)="|@import|<script', page)
    assert page.count("<svg") == 3
    told = json.loads(found[0]["scoreboard.json"])
    assert told["traces"][0]["scores"]["easy"]["jobs"] == 400
    low, high = told["traces"][0]["intervals_95"]["easy"]["wait_mean_s"]
    assert low < told["traces"][0]["scores"]["easy"]["wait_mean_s"] < high


@needs_parquet
def test_every_job_of_every_policy_is_a_row(tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # type: ignore[import-untyped, import-not-found, unused-ignore]

    path = tmp_path / "jobs.parquet"
    write_jobs({"a": outcome((0, 1, 2, 1), (1, 2, 3, 4)), "b": outcome((0, 3, 4, 1))}, path)
    rows = pq.read_table(path).to_pylist()
    assert [(row["policy"], row["start_ms"]) for row in rows] == [
        ("a", 1000),
        ("a", 2000),
        ("b", 3000),
    ]
