"""A network on PostgreSQL, for what only PostgreSQL can do."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from intertie.control.bootstrap import open_network
from tests.support.databases import PostgresServer


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own on PostgreSQL."""
    url = postgres.make()
    yield url
    postgres.drop(url)


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    """An engine on a network of the test's own on PostgreSQL."""
    engine = open_network(postgres_url)
    yield engine
    engine.dispose()
