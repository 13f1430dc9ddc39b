"""Shared devices: lists of pods and nodes are read, inflated as published, and placed by scores."""

from pathlib import Path

import numpy as np
import pytest

from intertie.placement.fractions import SCORES
from intertie.simulator.chance import GoRandom
from intertie.simulator.inflation import inflated
from intertie.simulator.policies import policies_for
from intertie.simulator.running import Setting
from intertie.simulator.traces.openb import Pods, read_fleet
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace

SLICES = Path(__file__).parent / "traces"
NODES = SLICES / "openb-nodes.csv"
HEADER = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"


def the_pods() -> Pods:
    pods = read_trace(SLICES / "openb-gpuspec10-first-200.csv")
    assert isinstance(pods, Pods)
    return pods


def test_pods_are_read_with_the_parts_of_devices_that_they_ask_for() -> None:
    pods = the_pods()
    shape = pods.shape[pods.name.index("openb-pod-0001")]
    assert len(pods) == 200
    assert pods.asked[shape].tolist() == [6000, 460, 1, 12288]
    assert {frozenset(), frozenset({"T4"})} <= set(pods.classes)


def test_nodes_are_read_with_as_many_whole_devices_as_they_have() -> None:
    fleet = read_fleet(NODES)
    machines, first = fleet.machines, fleet.name.index("openb-node-0000")
    assert fleet.classes == ("A10", "G2", "G3", "P100", "T4", "V100M16", "V100M32")
    assert machines.device[first].tolist() == [1000, 1000, 0, 0, 0, 0, 0, 0]
    assert (machines.cpu[first], fleet.classes[machines.kind[first]]) == (64_000, "P100")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,1,1,2,500", "must be a part of one device"),
        ("a,1,1,9,1000", "at most 8 whole ones"),
        ("a,1,x,1,1000", "pods.csv:2: could not convert"),
        ("a,-1,1,1,1000", "pods.csv:2: cpu_milli is -1"),
    ],
)
def test_a_pod_that_cannot_be_is_told_by_its_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pods.csv"
    path.write_text(HEADER + line + "\n")
    with pytest.raises(BadTrace, match=message):
        read_trace(path)


def test_a_node_with_too_many_devices_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text("sn,cpu_milli,memory_mib,gpu,model\na,1,1,16,T4\n")
    with pytest.raises(BadTrace, match=r"nodes.csv:2: gpu is 16"):
        read_fleet(path)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(HEADER)
    with pytest.raises(BadTrace, match="there is no pod"):
        read_trace(path)
    path.write_text("sn,cpu_milli,memory_mib,gpu,model\n")
    with pytest.raises(BadTrace, match="there is no node"):
        read_fleet(path)


def test_the_generator_gives_the_numbers_that_go_gives() -> None:
    # What `rand.Int63()` gives first in a program that never seeds it.
    random = GoRandom(1)
    assert [random.bits63() for _ in range(2)] == [5577006791947779410, 8674665223082153551]
    assert GoRandom(0).bits63() == GoRandom(89_482_311).bits63()


def test_an_order_of_go_holds_each_once() -> None:
    random = GoRandom(7)
    assert sorted(random.shuffled(50)) == list(range(50))
    assert sorted(random.permutation(50)) == list(range(50))
    assert {random.below(8) for _ in range(99)} == set(range(8))
    assert {random.below(6) for _ in range(99)} == set(range(6))


@pytest.mark.parametrize("percent", [40, 130, 500])
def test_arrivals_ask_for_the_share_of_the_devices_that_was_told(percent: int) -> None:
    pods, fleet = the_pods(), read_fleet(NODES)
    order, again = inflated(pods, fleet, percent, seed=42)
    asked = int(pods.held_milli[pods.shape[order]].sum())
    assert abs(asked * 100 - percent * fleet.capacity_milli) <= 8_000 * 100
    assert sorted(again.name) == sorted(fleet.name)
    assert again.capacity_milli == fleet.capacity_milli


def test_an_order_depends_on_its_seed_alone() -> None:
    pods, fleet = the_pods(), read_fleet(NODES)
    first, second, other = (inflated(pods, fleet, 130, seed) for seed in (42, 42, 43))
    assert first[0].tolist() == second[0].tolist() != other[0].tolist()
    assert first[1].name == second[1].name != other[1].name


@pytest.mark.parametrize("score", SCORES)
def test_every_score_holds_devices_and_never_more_than_there_are(score: str) -> None:
    pods = the_pods()
    outcome = policies_for(pods)[score].run(pods, Setting(seed=42, nodes=NODES))
    measures, jobs = outcome.measures, outcome.jobs
    placed = jobs["node"] >= 0
    assert measures["tasks_placed"] == placed.sum()
    assert measures["devices_held"] == jobs["held_milli"][placed].sum() / 1000
    assert 0.6 < measures["held_when_all_asked_share"] <= measures["held_share"] <= 1


def test_fgd_and_ours_hold_more_than_chance_on_a_slice() -> None:
    pods = the_pods()
    found = {
        score: np.mean(
            [
                policies_for(pods)[score]
                .run(pods, Setting(seed=seed, nodes=NODES))
                .measures["held_share"]
                for seed in range(5)
            ]
        )
        for score in ("random", "fgd", "least-stranded")
    }
    assert found["random"] < found["fgd"]
    assert found["random"] < found["least-stranded"]


def test_a_list_of_pods_without_nodes_says_what_to_add() -> None:
    pods = the_pods()
    with pytest.raises(BadTrace, match="add --nodes FILE"):
        policies_for(pods)["fgd"].run(pods, Setting())
