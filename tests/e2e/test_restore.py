"""Yesterday's backup is put back while 100 jobs run: none is killed, none is paid twice."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from intertie.model.policy import Policy
from intertie.store.backups import present_network
from tests.faults.checks import check_books, check_overlap, check_usage, look
from tests.faults.fixtures import slot
from tests.faults.scenes import Scene, job, scene
from tests.faults.seeds import Slot

__all__ = ["slot"]
# 40 cores of each of three agents; lines from 100 jobs each second are enough for two cores.
ROOM = {"cpus": 40, "memory": "8GiB", "disk": "8GiB"}
SLOW = {"resources": {"cpus": 1, "memory": "16MiB", "disk": "16MiB"}, "time_limit": "10m"}
BUSY = Policy(poll_s=2, busy_poll_ms=500, slice_s=2)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_restored_backup_kills_none_of_100_running_jobs_and_pays_none_twice(
    tmp_path: Path, slot: Slot, database: str
) -> None:
    with scene(tmp_path, slot, database, agents=3, policy=BUSY, **ROOM) as network:
        client, pace = network.client(), {"PACE": "1"}
        many = client.submit(job(network, 40, tasks=97, **SLOW) | _paced(network, 40, pace))
        short = [client.submit(_named(network, f"short-{n}", 12, pace)) for n in range(3)]
        network.until(lambda: len(network.lives()) == 100, "100 jobs run")
        _intertie(network, "backup", str(tmp_path / "backup"))
        late = client.submit(_named(network, "late", 12, pace))  # the backup does not know it
        for each in short:
            client.wait(each)  # paid by the network that is lost, and again by nobody
        _stop(network)
        _intertie(network, "restore", str(tmp_path / "backup"), "--replace")
        network.stage.heal()  # whoever is gone starts again
        for each in (many, *short):
            ended = network.operator(lambda it, each=each: it.wait(each))
            assert ended.outcome == "done"
        _check(network, known={many.id, *(each.id for each in short)}, late=late.id)


def _check(network: Scene, known: set[str], late: str) -> None:
    lives = network.lives()
    assert {name: life for name, life in lives.items() if not life.has_ended} == {}
    assert {job for job, _, _ in lives} >= known | {late}
    assert all(number == 1 for job, _, number in lives if job in known)
    seen = network.operator(lambda it: look(it, [], network.ground.folder))
    assert {job.id for job in seen.jobs} == known
    plan = network.stage.plan
    wrong = [*check_books(seen), *check_usage(plan, seen, lives), *check_overlap(lives)]
    assert wrong == []
    proof = network.operator(lambda it: it.ledger_check())
    assert proof.ok, proof.faults
    assert proof.open_holds == 0


def _stop(network: Scene) -> None:
    """End doors and deciders without a word; jobs and agents run on."""
    for role in (*network.stage.plan.deciders, *network.stage.plan.doors):
        network.send(role, signal.SIGKILL)
    network.until(  # a leader's term outlives it, and a restore waits for nobody
        lambda: not present_network(network.ground.database).is_led, "the leader's term is over"
    )


def _intertie(network: Scene, *words: str) -> None:
    """Run a command of whoever runs the network."""
    place = ["--data", str(network.ground.data), "--database", network.ground.database]
    command = [sys.executable, "-m", "intertie.cli.main", *words, *place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _named(network: Scene, name: str, steps: int, pace: dict[str, str]) -> dict[str, object]:
    return job(network, steps, **SLOW) | _paced(network, steps, pace) | {"name": name}


def _paced(network: Scene, steps: int, pace: dict[str, str]) -> dict[str, object]:
    return {"environment": job(network, steps)["environment"] | pace}
