"""What breaks at a real site, and what the network is told of it."""

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from intertie.engines.protocol import EngineUnavailable
from tests.engines.hosting import is_running
from tests.engines.slurm.slurming import (
    COUNTING,
    LEASE,
    active,
    an_engine,
    count,
    ended,
    running,
    see,
    start,
    until,
    until_state,
    work,
)
from tests.servers.slurm import SlurmCluster, missing

SAVE_ON_TERM = "trap 'echo saved > saved; exit 0' TERM; : > up; while :; do sleep 0.1; done"


@pytest.fixture
def cluster() -> Iterator[SlurmCluster]:
    """A cluster of this test's own: it is about to be broken."""
    if why := missing():
        pytest.skip(why)
    with SlurmCluster("gamma", cpu_nodes=1, spool_bytes=32 << 20, node_timeout_s=5) as made:
        yield made


def test_a_controller_killed_just_after_a_start_runs_the_program_once(
    cluster: SlurmCluster,
) -> None:
    with an_engine(cluster) as engine:
        running(engine, f"{COUNTING}sleep 8")
        cluster.kill_controller()
        with pytest.raises(EngineUnavailable):
            until(engine, lambda: engine.look(True) is None, "the controller to be missed")
        cluster.start_controller()
        seen = until_state(engine, "over")
        assert seen.cause in ("exited", "lost")
        assert (seen.cause == "exited") == (seen.exit_code == 0)
        until(engine, lambda: not active(cluster), "the site to have nothing of ours")
        assert count(engine) == 1


def test_a_start_while_the_controller_is_away_is_made_when_it_is_back(
    cluster: SlurmCluster,
) -> None:
    with an_engine(cluster) as engine:
        engine.facts()
        cluster.kill_controller()
        start(engine, COUNTING)
        assert [seen.state for seen in engine.observe()] == ["pending"]
        cluster.start_controller()
        assert until_state(engine, "over").exit_code == 0
        assert count(engine) == 1


def test_a_machine_that_dies_loses_its_attempt(cluster: SlurmCluster) -> None:
    with an_engine(cluster) as engine:
        running(engine, f"{COUNTING}sleep 300")
        until(engine, lambda: count(engine) == 1, "the program to be up")
        cluster.kill_machine("gamma-cpu1")
        seen = until_state(engine, "over")
        assert (seen.cause, seen.exit_code) == ("lost", None)
        cluster.start_node("gamma-cpu1")
        cluster.until_idle(["gamma-cpu1"])
        assert (count(engine), active(cluster)) == (1, [])


def test_a_program_that_runs_on_after_its_node_was_given_up_is_stopped(
    cluster: SlurmCluster,
) -> None:
    """The fencing problem: the site believes the node dead, and may give its work to another."""
    with an_engine(cluster) as engine:
        seconds = 1_000_000 + os.getpid()  # no other sleep on this machine is as long
        running(engine, f"sleep {seconds}")
        cluster.kill_node("gamma-cpu1")
        seen = until_state(engine, "over")
        assert seen.cause == "lost"
        assert not is_running(f"sleep\0{seconds}")


def test_a_drained_node_ends_what_it_has_and_takes_no_more(cluster: SlurmCluster) -> None:
    with an_engine(cluster) as engine:
        running(engine, "sleep 3")
        cluster.drain("gamma-cpu1")
        start(engine, "true", token=2)
        assert until_state(engine, "over").exit_code == 0
        waiting = until_state(engine, "pending", 2)
        assert until(engine, lambda: (see(engine, 2) or waiting).detail, "a reason")
        drained = engine.room()
        assert drained is not None
        assert drained.cpus_milli == 0
        cluster.resume("gamma-cpu1")
        assert until_state(engine, "over", 2).exit_code == 0


def test_without_munge_nothing_is_known_and_nothing_changes(cluster: SlurmCluster) -> None:
    with an_engine(cluster) as engine:
        running(engine, f"{COUNTING}sleep 2")
        cluster.stop_munge()
        for _ in range(2):
            with pytest.raises(EngineUnavailable, match=r"(?i)munge"):
                engine.look(True)
        with suppress(EngineUnavailable):
            assert engine.observe()[0].state == "running"
        cluster.start_munge()
        assert until_state(engine, "over").exit_code == 0
        assert count(engine) == 1


def test_a_full_spool_refuses_the_start_and_says_why(cluster: SlurmCluster) -> None:
    with an_engine(cluster) as engine:
        cluster.fill_spool()
        seen = ended(engine, COUNTING)
        assert seen.cause == "start_failed"
        assert seen.detail
        assert count(engine) == 0
        cluster.empty_spool()


def test_what_the_site_takes_back_saves_and_is_told_as_reclaimed(cluster: SlurmCluster) -> None:
    with an_engine(cluster, partitions=["spot"]) as engine:
        start(engine, SAVE_ON_TERM)
        place = work(engine)
        until(engine, (place / "up").exists, "the program to be up")
        cluster.submit("--partition=main", "--cpus-per-task=32")
        seen = until_state(engine, "over")
        assert seen.cause == "reclaimed"
        assert (place / "saved").exists()
        assert active(cluster) == []


def test_what_the_sites_own_people_cancel_is_told_as_reclaimed(cluster: SlurmCluster) -> None:
    with an_engine(cluster) as engine:
        cluster.submit("--cpus-per-task=32")
        start(engine, SAVE_ON_TERM)
        until(engine, lambda: active(cluster), "the job to wait")
        cluster.run("scancel", active(cluster)[0].split()[0])
        seen = until_state(engine, "over")
        assert (seen.cause, seen.ran_ms) == ("reclaimed", 0)


def test_a_grace_is_kept_by_the_site_even_if_the_shim_hangs(cluster: SlurmCluster) -> None:
    with an_engine(cluster) as engine:
        running(engine, "kill -STOP $PPID; sleep 300")
        engine.stop(LEASE, 1, "cancelled", 1)
        seen = until_state(engine, "over")
        assert seen.cause == "cancelled"
        assert active(cluster) == []
