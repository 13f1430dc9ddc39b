"""The Slurm engine on a real cluster: devices, arrays, queues, crashes, an ordinary user."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.shim.archive import MODULES
from intertie.engines.slurm.engine import SlurmEngine
from intertie.model.units import MIB
from tests.engines.slurm.slurming import (
    COUNTING,
    GPU,
    LEASE,
    active,
    an_engine,
    count,
    ended,
    lose_answers,
    run_as_nobody,
    running,
    see,
    start,
    until,
    until_state,
    work,
)
from tests.servers.slurm import WITH_ACCOUNTING, SlurmCluster, missing


@pytest.fixture
def engine(slurm_alpha: SlurmCluster) -> Iterator[SlurmEngine]:
    with an_engine(slurm_alpha) as made:
        yield made
        for seen in made.observe():
            made.stop(seen.lease, seen.token, "cancelled", 0)
        until(made, lambda: not active(slurm_alpha), "the site to have nothing of ours")
        slurm_alpha.run("scancel", "--quiet", "--partition=main,spot")


def test_partitions_by_like_nodes_are_groups_with_device_classes(engine: SlurmEngine) -> None:
    facts = engine.facts()
    found = {node.name: node for node in facts.nodes}
    assert set(found) == {"main-cpu", "main-a100"}
    group = found["main-a100"]
    assert (group.machine_count, group.device_class, group.device_count) == (2, "a100", 16)
    assert "memory_limit" in facts.not_enforced


def test_the_site_gives_devices_and_the_job_sees_which(engine: SlurmEngine) -> None:
    script = 'echo "$CUDA_VISIBLE_DEVICES" > seen; echo "$SLURM_JOB_PARTITION" >> seen'
    seen = ended(engine, script, **GPU)
    words = (work(engine) / "seen").read_text().split()
    assert len(words[0].split(",")) == 2
    assert words[1] == "main"
    assert seen.node.startswith("alpha-gpu")


def test_starts_that_come_together_are_one_array(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    engine.facts()
    for token in range(20):
        start(engine, COUNTING, token=token)
    for token in range(20):
        until_state(engine, "over", token)
        assert count(engine, token) == 1
    assert len(engine.clerk.batches.load()) <= 3


def test_what_does_not_fit_any_node_is_refused_with_the_sizes(engine: SlurmEngine) -> None:
    with pytest.raises(ValueError, match="9 devices a100"):
        start(engine, "true", device_class="a100", device_count=9)
    with pytest.raises(ValueError, match="1024000 MiB"):
        start(engine, "true", memory_bytes=1_024_000 * MIB)
    with pytest.raises(ValueError, match="environment: '1BAD'"):
        start(engine, "true", environment={"1BAD": "x"})


def test_own_users_come_first_and_a_waiting_task_shows_when_it_would_start(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    assert engine.waits() == {}
    for _ in range(2):
        slurm_alpha.submit("--gres=gpu:a100:8", "--time=30")
    until(engine, lambda: len(slurm_alpha.jobs()) >= 2, "own jobs")
    until(engine, lambda: (room := engine.room()) and room.device_count == 0, "no room")
    start(engine, "true", **GPU)
    seen = until(engine, lambda: (s := see(engine)) and s.expected_start_at and s, "a start")
    assert (seen.state, seen.detail) == ("pending", "Resources")
    assert 0 < until(engine, lambda: engine.waits().get("main-a100"), "a wait") <= 1860


def test_a_withdrawn_start_leaves_nothing_in_the_queue(
    engine: SlurmEngine, slurm_alpha: SlurmCluster
) -> None:
    for _ in range(2):
        slurm_alpha.submit("--gres=gpu:a100:8", "--time=30")
    start(engine, COUNTING, **GPU)
    until(engine, lambda: active(slurm_alpha), "it to wait")
    engine.stop(LEASE, 1, "cancelled", 0)
    assert until_state(engine, "over").cause == "cancelled"
    engine.forget(LEASE, 1)
    until(engine, lambda: not active(slurm_alpha), "it to leave the queue")


def test_a_lost_answer_is_looked_up_and_not_repeated(
    engine: SlurmEngine, slurm_alpha: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = lose_answers(engine, monkeypatch)
    assert ended(engine, f"{COUNTING}sleep 4").exit_code == 0
    until(engine, lambda: engine.clerk.batches.load()[0].job, "its number")
    assert (len(tries), count(engine)) == (1, 1)


def test_a_start_that_an_earlier_agent_did_not_hand_over_is_handed_over(
    slurm_alpha: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> int:
        raise EngineUnavailable("away")

    folder = Path(mkdtemp(dir=slurm_alpha.shared)) / "pool"
    with an_engine(slurm_alpha, folder) as earlier:
        monkeypatch.setattr(earlier.site, "submit", never)
        start(earlier, COUNTING)
        until(earlier, earlier.clerk.batches.load, "the manifest")
    with an_engine(slurm_alpha, folder) as later:
        assert until_state(later, "over").exit_code == 0
        assert count(later) == 1


def test_a_second_execution_by_the_site_runs_nothing_and_is_told(engine: SlurmEngine) -> None:
    running(engine, f"{COUNTING}sleep 4")
    [batch] = engine.clerk.batches.load()
    again = subprocess.run(["/bin/sh", "-c", engine._script(batch)], check=False, timeout=60)
    assert again.returncode == 0
    seen = until_state(engine, "over")
    assert "a second time" in seen.detail
    assert (seen.exit_code, count(engine)) == (0, 1)


def test_a_python_that_nodes_do_not_have_is_a_failed_start_with_its_words(
    slurm_alpha: SlurmCluster,
) -> None:
    with an_engine(slurm_alpha, python="/no/such/python3") as engine:
        seen = ended(engine, "true")
        assert seen.cause == "start_failed"
        assert "/no/such/python3" in seen.detail


def test_the_accounting_is_the_second_meter_of_what_the_queue_has_dropped() -> None:
    if why := missing(WITH_ACCOUNTING):
        pytest.skip(why)
    with SlurmCluster("delta", cpu_nodes=1, dbd=True, job_age_s=2) as cluster:
        folder = Path(mkdtemp(dir=cluster.shared)) / "pool"
        with an_engine(cluster, folder) as engine:
            running(engine, "sleep 2")
        with an_engine(cluster, folder) as later:
            until(later, lambda: not cluster.jobs(), "the queue to drop it")
            until(later, lambda: "COMPLETED" in cluster.run("sacct", "-n", "-X"), "the accounting")
            seen = until_state(later, "over")
            assert seen.exit_code == 0
            assert 1000 <= seen.site_ms <= 60_000


def test_a_partition_that_is_not_there_is_named(slurm_alpha: SlurmCluster) -> None:
    with (
        an_engine(slurm_alpha, partitions=["man"]) as engine,
        pytest.raises(ValueError, match="partitions: no partition 'man' here; there is main, spot"),
    ):
        engine.facts()


def test_an_ordinary_user_of_the_site_suffices(slurm_alpha: SlurmCluster) -> None:
    """A child of this process becomes `nobody`, and runs the whole of an attempt."""
    folder = Path(mkdtemp(dir=slurm_alpha.shared))
    shutil.chown(folder, "nobody", "nogroup")
    assert run_as_nobody(an_engine(slurm_alpha, folder / "pool")) == 0
    assert (folder / "pool" / f"{LEASE}-1" / "work" / "who").read_text() == "65534\n"


def test_the_shim_is_written_for_the_oldest_python_that_nodes_may_have() -> None:
    package = Path(sys.modules["intertie.engines.shim"].__path__[0])
    for name in MODULES:
        tree = ast.parse((package / f"{name}.py").read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):  # 3.9 evaluates these, and has no X | Y of types
                given = [each.annotation for each in node.args.args] + [node.returns]
                unions = [each for each in given if isinstance(each, ast.BinOp)]
                assert not unions, f"{name}.{node.name}"
