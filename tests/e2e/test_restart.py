"""Power cuts and restarts: what ran runs on, is found again, and is paid once."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie
from tests.faults.fixtures import slot
from tests.faults.scenes import Scene, job, scene
from tests.faults.seeds import Slot
from tests.support.live import wait_until

__all__ = ["slot"]


@pytest.mark.timeout(240)
def test_killing_every_process_of_the_network_kills_no_job_and_pays_it_once(tmp_path: Path) -> None:
    data = tmp_path / "network"
    with EmbeddedNetwork(data) as first:
        operator = first.client()
        first.keep_token("alpha", operator.create_project("alpha", trial=10).token)
        told = operator.create_provider("lab").enrol_token
        first.add_agent("desk", {"enrol_token": told, "price": "0.20", "lent_cpus": 1})
        wait_until(lambda: any(o.score for o in operator.offers()), first)
        client = first.client("alpha")
        script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 1; done"
        job = client.submit({"name": "long", "script": script, "time_limit": "2m"}).id
        wait_until(lambda: client.job(job).state == "running", first)
        for process in first.processes():
            process.kill()
    with EmbeddedNetwork(data) as again:
        again.start_agent("desk")
        client = again.client("alpha")
        assert client.wait(job).outcome == "done"
        assert "".join(client.logs(job)) == "".join(f"{i}\n" for i in range(1, 9))
        [task] = client.tasks(job)
        assert len(task.attempts) == 1
        check = client.ledger_check()
        assert check.ok, check.faults
        assert check.open_holds == 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_users_see_a_restart_of_postgresql_only_as_a_longer_wait(
    tmp_path: Path, slot: Slot, how: signal.Signals
) -> None:
    """The SDK as it is, with no retries of the test's own: submitting, following, asking."""
    with scene(tmp_path, slot, "postgresql") as network:
        user = Busy(network)
        network.until(lambda: user.submitted > 3, "the user is at work")
        server = slot.server
        assert server is not None
        for _ in range(2):
            server.stop(how)
            time.sleep(0.5)
            server.start()
            before = user.submitted
            network.until(lambda before=before: user.submitted > before + 3, "submitting goes on")
        assert user.end() == []
        check = network.client().ledger_check()
        assert check.ok, check.faults


class Busy:
    """A user who submits, follows and asks in threads of its own, and notes each error."""

    def __init__(self, network: Scene) -> None:
        self.submitted = 0
        self._network = network
        self._errors: list[str] = []
        self._ends = threading.Event()
        self._long = network.client().submit(job(network, 10_000)).id
        acts = (self._submit, self._follow, self._ask)
        self._threads = [threading.Thread(target=self._guard, args=(act,)) for act in acts]
        for thread in self._threads:
            thread.start()

    def end(self) -> list[str]:
        """Stop, and return what went wrong in all that time."""
        self._ends.set()
        self._network.client().cancel(self._long)
        for thread in self._threads:
            thread.join(60.0)
        return self._errors

    def _guard(self, act: Callable[[Intertie], None]) -> None:
        try:
            act(self._network.client())
        except Exception as error:  # noqa: BLE001  whatever a user would have seen
            self._errors.append(f"{act.__name__}: {error!r}")

    def _submit(self, client: Intertie) -> None:
        while not self._ends.is_set():
            ended = client.wait(client.submit(job(self._network, 1)), timeout_s=120)
            assert ended.outcome == "done", ended
            self.submitted += 1

    def _follow(self, client: Intertie) -> None:
        """Return when the long job has been cancelled."""
        codes = [event.code for event in client.events(self._long, follow=True)]
        assert codes[-1] in ("job_ended", "job_settled"), codes

    def _ask(self, client: Intertie) -> None:
        while not self._ends.is_set():
            assert client.job(self._long).id == self._long
            time.sleep(0.05)
