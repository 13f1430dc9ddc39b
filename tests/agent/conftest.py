"""Fixtures of the agent's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.agents import AgentProcess, measure
from tests.agent.network import Network, serve


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measure(tmp_path_factory.mktemp("measured"))


@pytest.fixture
def network() -> Iterator[Network]:
    with serve(Network()) as made:
        yield made


@pytest.fixture
def make_agent(
    network: Network, tmp_path: Path, measured: Path
) -> Iterator[Callable[..., AgentProcess]]:
    made: list[AgentProcess] = []

    def make(**known: object) -> AgentProcess:
        made.append(AgentProcess(network, tmp_path / f"a{len(made)}", measured, **known))
        return made[-1].start()

    yield make
    for agent in made:
        agent.clean()


@pytest.fixture
def agent(make_agent: Callable[..., AgentProcess]) -> AgentProcess:
    return make_agent()
