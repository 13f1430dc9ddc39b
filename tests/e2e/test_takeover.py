"""The leader is killed or paused in the middle of work: another leads, and nothing is lost."""

import signal
from pathlib import Path

import pytest

from tests.faults.fixtures import slot
from tests.faults.scenes import job, scene
from tests.faults.seeds import Slot
from tests.faults.takeover import waited_s

__all__ = ["slot"]
# `python -m tests.faults.takeover` measures it; here two cores may be busy with anything else.
TAKEOVER_S = 30.0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_another_leader_takes_over_and_no_job_is_lost_or_started_twice(
    tmp_path: Path, slot: Slot, number: signal.Signals
) -> None:
    with scene(tmp_path, slot, deciders=2) as network:
        client = network.client()
        before = [client.submit(job(network, 30, tasks=3)) for _ in range(2)]
        network.until(lambda: len(network.lives()) == 6, "all tasks run")
        first = network.leader()
        assert waited_s(network, client, number) < TAKEOVER_S
        second = network.leader()
        assert second != first
        if number == signal.SIGSTOP:
            network.send(first, signal.SIGCONT)
        after = client.submit(job(network, 2, tasks=3))
        for each in (*before, after):
            assert client.wait(each).outcome == "done"
            assert [len(task.attempts) for task in client.tasks(each)] == [1, 1, 1]
        assert all(life.starts == 1 for life in network.lives().values())
        assert network.leader() == second
        check = client.ledger_check()
        assert check.ok, check.faults
