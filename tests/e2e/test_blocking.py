"""Blocking an account reaches what runs on real machines, through an agent that was killed."""

from pathlib import Path

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from intertie.wire.jobs import AttemptView
from tests.support.live import wait_until

STOPS_WITHIN_S = 60.0


@pytest.mark.timeout(240)
def test_a_blocked_account_stops_within_a_minute_though_its_agent_was_killed_meanwhile(
    tmp_path: Path,
) -> None:
    with EmbeddedNetwork(tmp_path / "network") as network:
        operator = network.client()
        for name in ("alpha", "beta"):
            network.keep_token(name, operator.create_project(name, trial=10).token)
        told = operator.create_provider("lab").enrol_token
        network.add_agent("desk", {"enrol_token": told, "price": "0.20", "lent_cpus": 2})
        wait_until(lambda: any(o.score for o in operator.offers()), network)
        small = {"cpus": "0.1", "memory": "64MiB", "disk": "50MiB"}
        spec = {"script": "sleep 600", "time_limit": "15m", "resources": small}
        alpha, beta = network.client("alpha"), network.client("beta")
        theirs, ours = alpha.submit(spec).id, beta.submit(spec).id
        wait_until(lambda: alpha.job(theirs).state == "running", network)
        wait_until(lambda: beta.job(ours).state == "running", network)
        network.agents["desk"].kill()
        operator.block("alpha")
        network.start_agent("desk")

        def attempt() -> AttemptView:
            [task] = alpha.tasks(theirs)
            [only] = task.attempts
            return only

        wait_until(lambda: attempt().ended_at, network, STOPS_WITHIN_S)
        assert attempt().cause == "no_funds"
        assert beta.job(ours).state == "running"
        beta.cancel(ours)
        beta.wait(ours)
        wait_until(lambda: alpha.job(theirs).held_micro == 0, network)
        check = operator.ledger_check()
        assert check.ok, check.faults
