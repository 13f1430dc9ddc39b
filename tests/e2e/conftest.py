"""One embedded network with one real agent for the whole folder: door, decider, agent, sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from tests.support.live import River, wait_until


@pytest.fixture(scope="session")
def river(tmp_path_factory: pytest.TempPathFactory) -> Iterator[River]:
    folder: Path = tmp_path_factory.mktemp("river")
    with EmbeddedNetwork(folder / "network") as network:
        operator = network.client()
        for name in ("alpha", "beta"):
            network.keep_token(name, operator.create_project(name, trial=50).token)
        provider = operator.create_provider("lab")
        network.add_agent(
            "workstation",
            {
                "enrol_token": provider.enrol_token,
                "price": "0.20",
                "lent_cpus": 2,
                "grace": 2,
                "region": "cn-east",
            },
        )
        wait_until(lambda: any(o.score for o in operator.offers()), network)
        yield River(network, network.client("alpha"), network.client("beta"), operator)
