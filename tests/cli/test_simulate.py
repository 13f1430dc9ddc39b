"""`intertie simulate` on a slice of a real trace, and with what cannot be replayed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from intertie.cli import exits

Call = Callable[..., Result]
TRACES = Path(__file__).parents[1] / "simulator" / "traces"
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
