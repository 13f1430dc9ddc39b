"""One network on each database for each file of tests; its parties have names of their own."""

from collections.abc import Iterator

import pytest

from tests.api.network import Network, running_network


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str
) -> Iterator[Network]:
    with running_network(
        tmp_path_factory.mktemp("network"), database=module_database_url
    ) as network:
        yield network
