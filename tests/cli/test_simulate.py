"""`intertie simulate` on a slice of a real trace, and with what cannot be replayed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from intertie.cli import exits
from intertie.simulator.report.tables import can_write
from tests.servers.ray import a_ray_cluster

Call = Callable[..., Result]
needs_parquet = pytest.mark.skipif(not can_write(), reason="pyarrow: install intertie[reports]")
TRACES = Path(__file__).parents[1] / "simulator" / "traces"
SHOCKWAVE = TRACES / "shockwave-first-30.trace"
SPEEDS = TRACES / "shockwave-throughputs.json"
PODS, NODES = TRACES / "openb-gpuspec10-first-200.csv", TRACES / "openb-nodes.csv"
KTH, ITP = TRACES / "kth-sp2-first-400.swf", TRACES / "itp-cluster03-first-60.csv"


def test_two_policies_stand_beside_each_other(call: Call) -> None:
    told = call("simulate", str(KTH), "--policy", "fcfs", "--vs", "easy")
    assert told.exit_code == 0, told.output
    assert KTH.name in told.output
    assert "fcfs" in told.output
    assert "easy" in told.output
    assert "occupancy" in told.output


def test_machines_get_every_measure_with_its_unit(call: Call) -> None:
    told = json.loads(call("simulate", str(KTH), "--vs", "fcfs", "--json").output)
    scores = told["traces"][0]["scores"]
    easy, fcfs = scores["easy"], scores["fcfs"]
    assert easy["jobs"] == 400
    assert easy["wait_mean_s"] < fcfs["wait_mean_s"]
    assert easy["ave_bsld"] < fcfs["ave_bsld"]


def test_shared_devices_are_placed_on_the_nodes_of_a_table(call: Call) -> None:
    words = (str(PODS), "--nodes", str(NODES), "--policy", "least-stranded", "--vs", "fgd")
    told = call("simulate", *words, "--seed", "42", "--json")
    scores = json.loads(told.output)["traces"][0]["scores"]
    assert scores["fgd"]["tasks"] == scores["least-stranded"]["tasks"] > 100
    assert 0 < scores["fgd"]["held_share"] <= 1


def test_several_providers_are_run_from_their_file(call: Call) -> None:
    file = TRACES.parent / "idle.toml"
    traces = [str(TRACES / f"itp-cluster{name}.csv") for name in ("06-first-300", "07-first-600")]
    words = ("--providers", str(file), "--policy", "alone", "--vs", "one-pool", "--json")
    told = json.loads(call("simulate", *traces, *words).output)["traces"][0]
    assert told["trace"] == "idle.toml"
    assert told["scores"]["one-pool"]["wait_mean_s"] <= told["scores"]["alone"]["wait_mean_s"]
    assert told["scores"]["alone"]["jobs"] == 900
    refused = call("simulate", traces[0], "--providers", str(file), "--policy", "fcfs")
    assert "'fcfs' is none of alone, one-pool, joined" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([str(KTH), "--policy", "best"], "'best' is none of fcfs, first-fit, easy, easy-sjbf"),
        ([str(KTH), "--vs", "best"], "'best' is none of"),
        ([str(KTH), "--lengths", "guessed"], "'guessed' is none of stated, predicted, true"),
        (["nowhere.swf"], "No such file"),
        ([str(PODS), "--policy", "fgd"], "add --nodes FILE"),
        ([str(ITP)], "add --capacity"),
        ([str(ITP), "--capacity", "8"], "a job asks for 64 units of 8: give at least 64"),
        ([str(KTH.parent / "README.md")], ".swf, .csv and .trace are"),
    ],
)
def test_what_cannot_be_replayed_is_said_with_what_to_do(
    words: list[str], message: str, call: Call
) -> None:
    told = call("simulate", *words)
    assert told.exit_code == exits.BAD_INPUT
    assert message in " ".join(told.output.split()).replace("│ ", "").replace(" │", "")


@pytest.mark.parametrize(
    ("file", "words", "policies", "measure"),
    [
        ("muri-trace3-first-60.csv", [], ["srsf", "srsf-aged", "las", "fcfs"], "jct_mean_s"),
        (
            "itp-cluster03-with-deadlines-first-60.csv",
            ["--capacity", "128"],
            ["elastic", "elasticflow", "elastic-rigid", "edf", "edf-useful"],
            "met_share",
        ),
    ],
)
def test_jobs_that_may_be_paused_or_resized_have_policies_of_their_own(
    file: str, words: list[str], policies: list[str], measure: str, call: Call
) -> None:
    others = [word for name in policies[1:] for word in ("--vs", name)]
    told = call("simulate", str(TRACES / file), "--policy", policies[0], *others, *words, "--json")
    scores = json.loads(told.output)["traces"][0]["scores"]
    assert list(scores) == policies
    assert all(each[measure] > 0 for each in scores.values())


@needs_parquet
def test_a_sweep_in_processes_leaves_a_report_of_every_combination(
    call: Call, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    told = call("simulate", str(KTH), "--sweep", "backfill=fcfs,easy", "--sweep",
                "lengths=stated,true", "--out", str(out), "--seed", "9")  # fmt: skip
    assert told.exit_code == 0, told.output
    scores = json.loads((out / "scoreboard.json").read_text())
    assert scores["seed"] == 9
    assert list(scores["traces"][0]["scores"]) == [
        f"{backfill} lengths={lengths}"
        for backfill in ("fcfs", "easy")
        for lengths in ("stated", "true")
    ]
    assert "report.html" in told.output


def test_jobs_that_take_turns_need_their_speeds_and_devices(call: Call) -> None:
    words = ["simulate", str(SHOCKWAVE), "--policy", "balanced", "--vs", "max-min", "--json"]
    speeds = ["--throughputs", str(SPEEDS)]
    assert "add --throughputs FILE" in call(*words).output
    assert "add --devices" in call(*words, *speeds).output
    told = json.loads(call(*words, *speeds, "--devices", "v100=6").output)
    scores = told["traces"][0]["scores"]
    assert scores["balanced"]["jct_mean_s"] < scores["max-min"]["jct_mean_s"]


@needs_parquet
@pytest.mark.timeout(400)
def test_pieces_on_ray_end_as_they_do_here(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["simulate", str(KTH), "--policy", "fcfs", "--vs", "easy", "--json"]
    with a_ray_cluster() as cluster:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(cluster.token_file))
        there = call(*words, "--out", str(tmp_path), "--ray", cluster.url)
        assert there.exit_code == 0, there.output
    assert json.loads(there.output) == json.loads(call(*words).output)


def test_ray_without_a_folder_that_its_nodes_see_is_refused(call: Call) -> None:
    told = call("simulate", str(KTH), "--ray", "http://127.0.0.1:9")
    assert told.exit_code == exits.BAD_INPUT
    assert "add --out FOLDER" in told.output
