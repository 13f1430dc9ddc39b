"""One network for each file of tests; its parties have names of their own."""

from collections.abc import Iterator

import pytest

from tests.api.network import Network, running_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running_network(tmp_path_factory.mktemp("network")) as network:
        yield network
