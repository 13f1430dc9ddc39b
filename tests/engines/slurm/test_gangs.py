"""Gangs on a real Slurm cluster: one job of the site, whole or absent."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from intertie.engines.protocol import Observed
from intertie.engines.slurm.engine import SlurmEngine
from tests.engines.hosting import a_body
from tests.engines.slurm.slurming import (
    COUNTING,
    LEASE,
    active,
    an_engine,
    count,
    lose_answers,
    see,
    until,
    until_state,
)
from tests.servers.slurm import SlurmCluster, missing

THREE = (1, 2, 3)
SAVE_ON_TERM = "trap 'echo saved > saved; exit 0' TERM; : > up; while :; do sleep 0.1; done"


@pytest.fixture
def engine(slurm_alpha: SlurmCluster) -> Iterator[SlurmEngine]:
    with an_engine(slurm_alpha) as made:
        yield made
        for seen in made.observe():
            made.stop(seen.lease, seen.token, "cancelled", 0)
        slurm_alpha.run("scancel", "--quiet", "--partition=main")
        until(made, lambda: not active(slurm_alpha), "the site to have nothing of ours")


def start(engine: SlurmEngine, token: int, script: str, size: int = 3, **known: Any) -> None:
    """Start the member of that token of a gang with the tokens 1 to `size`."""
    gang = {"id": "job-0001-77", "size": size}
    engine.start(LEASE, token, a_body(script=script, gang=gang, task_index=token - 1, **known))


def start_three(engine: SlurmEngine, script: str, **known: Any) -> None:
    for token in THREE:
        start(engine, token, script, **known)


def until_all(engine: SlurmEngine, state: str, tokens: tuple[int, ...] = THREE) -> list[Observed]:
    return [until_state(engine, state, token) for token in tokens]


def states(engine: SlurmEngine) -> list[str]:
    found = [see(engine, token) for token in THREE]
    return [seen.state if seen else "" for seen in found]


def read(engine: SlurmEngine, token: int, name: str) -> str:
    return (engine.folder(LEASE, token) / "work" / name).read_text().strip()


def fill_one_node(cluster: SlurmCluster) -> str:
    """Have a user of the site take a whole node, so that a gang of three does not fit."""
    return cluster.submit("--nodelist=alpha-cpu1", "--exclusive", "--time=30")


def test_a_gang_runs_at_the_same_time_on_a_node_each_as_one_job_and_each_member_has_its_own_end(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    script = "date +%s%N > began; sleep 2; [ $SLURM_PROCID = 0 ] || sleep 6; date +%s%N > ended;"
    start_three(engine, f"{script} exit $SLURM_PROCID$INTERTIE_TASK_INDEX")
    ends = until_all(engine, "over")
    assert [(seen.cause, seen.exit_code) for seen in ends] == [
        ("exited", 0), ("exited", 11), ("exited", 22),
    ]  # fmt: skip
    assert {seen.node for seen in ends} == set(slurm_alpha.nodes)
    began, ended = ([int(read(engine, t, name)) for t in THREE] for name in ("began", "ended"))
    assert max(began) < min(ended)
    [batch] = engine.clerk.batches.load()
    assert sum(row.split()[0] == str(batch.job) for row in slurm_alpha.jobs()) == 1
    assert ends[0].ran_ms < ends[1].ran_ms <= ends[1].site_ms + 2000


def test_a_gang_is_not_handed_over_before_all_of_it_is_here(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    start(engine, 1, COUNTING)
    start(engine, 3, COUNTING)
    engine.start(LEASE, 9, a_body(script="true"))
    until_state(engine, "over", 9)
    assert [batch.names for batch in engine.clerk.batches.load()] == [(f"{LEASE}-9",)]
    start(engine, 2, COUNTING)
    until_all(engine, "over")
    assert [count(engine, token) for token in THREE] == [1, 1, 1]
    assert len(engine.clerk.batches.load()) == 2


def test_a_gang_that_does_not_fit_waits_whole_while_a_smaller_job_passes(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    own = fill_one_node(slurm_alpha)
    start_three(engine, COUNTING)
    until(engine, lambda: active(slurm_alpha), "it to wait at the site")
    engine.start(LEASE, 9, a_body(script="true"))
    assert until_state(engine, "over", 9).exit_code == 0
    assert states(engine) == ["pending"] * 3
    assert [count(engine, token) for token in THREE] == [0, 0, 0]
    slurm_alpha.run("scancel", own)
    assert [seen.exit_code for seen in until_all(engine, "over")] == [0, 0, 0]


@pytest.mark.parametrize("is_at_site", [False, True], ids=["held here", "in the site's queue"])
def test_a_gang_of_which_one_is_withdrawn_before_it_begins_never_begins(
    engine: SlurmEngine, slurm_alpha: SlurmCluster, is_at_site: bool
) -> None:
    fill_one_node(slurm_alpha)
    for token in THREE if is_at_site else THREE[:2]:
        start(engine, token, COUNTING)
    if is_at_site:
        until(engine, lambda: active(slurm_alpha), "it to wait at the site")
    engine.stop(LEASE, 1, "cancelled", 0)
    assert until_state(engine, "over", 1).cause == "cancelled"
    others = until_all(engine, "over", THREE[1:] if is_at_site else (2,))
    assert {seen.cause for seen in others} == {"superseded"}
    until(engine, lambda: not active(slurm_alpha), "it to leave the queue")
    assert [count(engine, token) for token in THREE] == [0, 0, 0]


def test_a_stop_of_all_ends_all_and_a_stop_of_one_leaves_the_others_to_the_network(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    start_three(
        engine, "trap 'sleep 1; echo saved > saved; exit 3' TERM; while :; do sleep 0.1; done"
    )
    until_all(engine, "running")
    engine.stop(LEASE, 2, "reclaimed", 20)
    seen = until_state(engine, "over", 2)
    assert (seen.cause, seen.exit_code, read(engine, 2, "saved")) == ("reclaimed", 3, "saved")
    assert states(engine) == ["running", "over", "running"]
    for token in (1, 3):
        engine.stop(LEASE, token, "superseded", 20)
    assert {seen.exit_code for seen in until_all(engine, "over")} == {3}
    until(engine, lambda: not active(slurm_alpha), "the site to have nothing of ours")


def test_a_site_that_ends_a_gang_gives_each_member_its_time_to_save(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    start_three(engine, SAVE_ON_TERM)
    until_all(engine, "running")
    work = [engine.folder(LEASE, token) / "work" / "up" for token in THREE]
    until(engine, lambda: all(path.exists() for path in work), "the programs to be up")
    [batch] = engine.clerk.batches.load()
    slurm_alpha.run("scancel", str(batch.job))
    assert {seen.cause for seen in until_all(engine, "over")} == {"reclaimed"}
    assert [read(engine, token, "saved") for token in THREE] == ["saved"] * 3


def test_members_that_share_a_machine_see_devices_of_their_own(engine: SlurmEngine) -> None:
    script = 'echo "$SLURMD_NODENAME" "$SLURM_NODEID" "$CUDA_VISIBLE_DEVICES" > seen'
    start_three(engine, script, device_class="a100", device_count=4)
    nodes = [seen.node for seen in until_all(engine, "over")]
    assert set(nodes) == {"alpha-gpu1", "alpha-gpu2"}
    devices = [
        (node, device)
        for node, token in zip(nodes, THREE, strict=True)
        for device in read(engine, token, "seen").split()[-1].split(",")
    ]
    assert len(set(devices)) == 12


def test_a_gang_that_no_partition_could_ever_hold_is_refused_with_its_sizes(
    engine: SlurmEngine,
) -> None:
    with pytest.raises(ValueError, match=r"has 3 times 1 cores, .* and 8 devices a100"):
        start(engine, 1, "true", device_class="a100", device_count=8)


def test_a_gang_that_an_earlier_agent_took_on_in_part_is_handed_over_whole(
    slurm_alpha: SlurmCluster,
) -> None:
    folder = Path(mkdtemp(dir=slurm_alpha.shared)) / "pool"
    with an_engine(slurm_alpha, folder) as earlier:
        start(earlier, 1, COUNTING)
    with an_engine(slurm_alpha, folder) as later:
        for token in THREE:
            start(later, token, COUNTING)
        until_all(later, "over")
        assert [count(later, token) for token in THREE] == [1, 1, 1]


def test_a_lost_answer_of_a_gang_is_looked_up_and_not_repeated(
    engine: SlurmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = lose_answers(engine, monkeypatch)
    start_three(engine, f"{COUNTING}sleep 4")
    assert [seen.exit_code for seen in until_all(engine, "over")] == [0, 0, 0]
    assert (len(tries), [count(engine, token) for token in THREE]) == (1, [1, 1, 1])


def test_a_controller_killed_just_after_the_hand_over_runs_no_member_twice() -> None:
    if why := missing():
        pytest.skip(why)
    with (
        SlurmCluster("gamma", cpu_nodes=3, node_timeout_s=5) as cluster,
        an_engine(cluster) as engine,
    ):
        start_three(engine, f"{COUNTING}sleep 8")
        until(engine, lambda: (b := engine.clerk.batches.load()) and b[0].job, "its number")
        cluster.kill_controller()
        cluster.start_controller()
        ends = until_all(engine, "over")
        assert len({(seen.cause, seen.exit_code) for seen in ends}) == 1, ends
        until(engine, lambda: not active(cluster), "the site to have nothing of ours")
        runs = {count(engine, token) for token in THREE}
        assert runs == {1} if ends[0].cause == "exited" else runs <= {0, 1}
