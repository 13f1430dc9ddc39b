"""A power cut of the whole network: what ran runs on, is found again, and is paid once."""

from pathlib import Path

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from tests.support.live import wait_until


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
