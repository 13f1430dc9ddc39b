"""`intertie simulate` on a slice of a real trace, and with what cannot be replayed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from intertie.cli import exits

Call = Callable[..., Result]
TRACES = Path(__file__).parents[1] / "simulator" / "traces"
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([str(KTH), "--policy", "best"], "'best' is none of fcfs, first-fit, easy, easy-sjbf"),
        ([str(KTH), "--vs", "best"], "'best' is none of"),
        ([str(KTH), "--lengths", "guessed"], "'guessed' is none of stated, predicted, true"),
        (["nowhere.swf"], "No such file"),
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
