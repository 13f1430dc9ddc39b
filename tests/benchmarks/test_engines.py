"""The table of engines: its arithmetic, its options, and what is said of a missing server."""

import math

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.engines import clusters, command, figures
from benchmarks.engines.figures import ADDED, RATIO, SKIPPED, Start
from benchmarks.engines.parts import Sizes
from benchmarks.load.figures import Figure


def test_what_intertie_adds_to_a_start_is_the_difference_of_the_medians() -> None:
    native = [Start(0.01, 0.2), Start(0.01, 0.3), Start(0.01, 9.0)]
    ours = [Start(0.03, 0.4), Start(0.03, 0.6), Start(0.03, 0.9)]
    found = {each.what: each for each in figures.starts("slurm", native, ours)}
    assert found["native, median"].value == pytest.approx(300)
    assert found["Intertie, median"].value == pytest.approx(600)
    assert found["Intertie, p99"].value == pytest.approx(900)
    assert found[ADDED].value == pytest.approx(300)
    assert found[RATIO].value == pytest.approx(2.0)
    assert "3 runs" in found["native, median"].note
    assert "30 ms" in found["Intertie, median"].note


def test_a_ratio_of_rates_above_one_means_that_intertie_is_faster() -> None:
    rows = figures.rates(figures.ARRAYS, "slurm", 1000, [40.0, 60.0], [20.0, 30.0])
    found = {each.what: each.value for each in rows}
    assert found["native, 1000 tasks"] == pytest.approx(20)
    assert found["Intertie, 1000 tasks"] == pytest.approx(40)
    assert found[RATIO] == pytest.approx(2.0)


def test_the_sentence_quotes_each_engine_and_says_what_was_skipped() -> None:
    rows = [
        Figure(figures.STARTS, "ray", ADDED, 208.4, "ms"),
        Figure(figures.STARTS, "ray", RATIO, 1.1, ""),
        Figure(figures.ARRAYS, "slurm", RATIO, 0.5, ""),
        Figure(figures.STARTS, "kubernetes", SKIPPED, math.nan, "", "run scripts/x"),
    ]
    assert figures.summary(rows) == (
        "ray: +208 ms to a start; slurm: 0.50 of the native rate (short tasks);"
        " kubernetes skipped: run scripts/x"
    )
    assert figures.summary([]) == "nothing was measured"


def test_a_graph_is_measured_against_the_sum_of_its_stages_own_times() -> None:
    rows = list(figures.stages("host, slurm", {"one": 20.0, "two": 30.0}, 55.0))
    assert [each.value for each in rows] == [20.0, 30.0, 55.0, pytest.approx(1.1)]
    assert figures.summary(rows) == "host, slurm: 1.100 of the critical path"


def test_a_program_without_output_has_no_instant() -> None:
    assert clusters.instant_of("12.34 56.78\n") == pytest.approx(12.34)
    with pytest.raises(ValueError, match="could not convert"):
        clusters.instant_of("")


def test_the_words_that_ray_writes_around_an_output_are_no_numbers() -> None:
    words = "2026-11-22 09:00:00,1 INFO job_manager.py -- Runtime env\nRunning entrypoint\n"
    assert clusters._numbers(f"{words}12.3 4.5\n") == ["12.3 4.5"]
    assert clusters._numbers(words) == []


def test_the_clock_is_the_one_that_the_program_prints() -> None:
    before_s = clusters.now_s()
    with open("/proc/uptime", encoding="ascii") as file:  # noqa: PTH123
        printed_s = clusters.instant_of(file.read())
    assert before_s - 0.02 <= printed_s <= clusters.now_s() + 0.02


def test_the_options_choose_parts_and_sizes() -> None:
    told = command.parse(["--only", "ray", "--only", "array", "--runs", "3", "--tasks", "50"])
    assert told.only == ["ray", "array"]
    assert (told.runs, told.tasks) == (3, 50)
    assert not told.json
    assert command.parse([]).tasks == Sizes().tasks == 1000
    assert command.parse([]).nodes == 100


@pytest.mark.parametrize("words", [["--runs", "0"], ["--tasks", "-1"], ["--only", "pbs"]])
def test_an_option_that_makes_no_sense_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.parse(words)
    assert words[0] in capsys.readouterr().err


def test_a_missing_server_is_one_row_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("INTERTIE_KUBERNETES", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "/nowhere")
    rows = command.run(Sizes(), ["ray", "kubernetes"])
    assert [(row.on, row.what) for row in rows] == [("ray", SKIPPED), ("kubernetes", SKIPPED)]
    assert "scripts/ray/build.sh" in rows[0].note
    assert all("\n" not in row.note for row in rows)


def test_the_list_of_benchmarks_names_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmarks.main(["list"]) == 0
    assert command.WHAT in capsys.readouterr().out
