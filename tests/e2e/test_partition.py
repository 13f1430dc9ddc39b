"""Both sides of `on_partition`, with an agent that is really cut off from every door."""

import time
from pathlib import Path

import pytest

from intertie.client import Intertie
from intertie.wire.jobs import AttemptView, JobView
from tests.faults.checks import Life
from tests.faults.fixtures import slot
from tests.faults.network import POLICY
from tests.faults.scenes import Scene, job, scene
from tests.faults.seeds import Slot

__all__ = ["slot"]
CUT_S = 120.0


@pytest.mark.timeout(240)
def test_what_moves_is_stopped_by_its_agent_before_it_is_placed_again(
    tmp_path: Path, slot: Slot
) -> None:
    with scene(tmp_path, slot, "sqlite") as network:
        client, submitted, cut_s = _cut_off(network, "move")
        first, second = _two_lives(network, submitted)
        assert first.last_s < second.first_s
        # It was heard at most one poll before the line was cut.
        silent_s = POLICY.renew_for_s + POLICY.grace_s + POLICY.margin_s
        assert second.first_s > cut_s + silent_s - POLICY.poll_s
        assert _attempts(client, submitted)[0].cause == "lost"


@pytest.mark.timeout(240)
def test_what_is_kept_runs_on_to_the_end_of_its_lease_and_only_then_is_placed_again(
    tmp_path: Path, slot: Slot
) -> None:
    with scene(tmp_path, slot, "sqlite") as network:
        client, submitted, _ = _cut_off(network, "keep")
        attempt = _attempts(client, submitted)[0]
        told = network.ground.agent_folder(attempt.pool) / "attempts" / f"{attempt.lease}-1"
        until_s = int((told / "until").read_text()) / 1000 - time.time() + _up_s()
        first, second = _two_lives(network, submitted)
        assert first.last_s < second.first_s
        assert second.first_s > until_s
        # It went on without its network, longer than one that moves would have.
        assert first.last_s > until_s - POLICY.grace_s - 1.0


@pytest.mark.timeout(240)
def test_what_ends_while_its_agent_is_cut_off_is_accepted_when_the_line_is_back(
    tmp_path: Path, slot: Slot
) -> None:
    with scene(tmp_path, slot, "sqlite") as network:
        client = network.client()
        submitted = client.submit(job(network, 8))
        network.until(network.lives, "it runs")
        pool = _attempts(client, submitted)[0].pool
        network.stage.proxies[pool].cut(CUT_S)
        network.until(lambda: any(life.has_ended for life in network.lives().values()), "it ends")
        network.stage.proxies[pool].heal()
        assert client.wait(submitted).outcome == "done"
        assert len(_attempts(client, submitted)) == 1


def _cut_off(network: Scene, on_partition: str) -> tuple[Intertie, JobView, float]:
    """Return a job that runs on an agent which is cut off, and when that was."""
    client = network.client()
    submitted = client.submit(job(network, 600, on_partition=on_partition))
    network.until(lambda: client.job(submitted).state == "running", "it runs")
    network.until(network.lives, "it writes")
    network.stage.proxies[_attempts(client, submitted)[0].pool].cut(CUT_S)
    return client, submitted, _up_s()


def _two_lives(network: Scene, submitted: JobView) -> tuple[Life, Life]:
    """Return what both attempts wrote, once the second one has begun."""
    second = (submitted.id, 0, 2)
    network.until(lambda: second in network.lives(), "it is placed again")
    lives = network.lives()
    return lives[submitted.id, 0, 1], lives[second]


def _attempts(client: Intertie, submitted: JobView) -> list[AttemptView]:
    [task] = client.tasks(submitted)
    return task.attempts


def _up_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])
