"""What an agent is told of a gang, by every body of it."""

from typing import Any

import pytest

from tests.api.network import Agent, Network, Party, seen, wait_until


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("gangs")


def gang_of(lease: dict[str, Any]) -> Any:
    return lease["body"]["gang"]


def test_the_members_of_a_placement_carry_its_id_and_how_many_they_are_and_others_nothing(
    network: Network, project: Party
) -> None:
    agent = network.pool("whole", abilities=["gangs"])
    project.submit(providers=["whole"], array={"count": 2}, gang=True)
    first, second = agent.take(2)
    assert gang_of(first) == gang_of(second)
    assert gang_of(first)["size"] == 2
    for lease in (first, second):
        agent.end(lease)
    project.submit(providers=["whole"], array={"count": 2})
    assert [gang_of(each) for each in agent.take(2)] == [None, None]


def test_a_gang_that_is_placed_again_has_another_id_and_a_body_that_is_repeated_the_same(
    network: Network, project: Party
) -> None:
    agent = network.pool("again", abilities=["gangs"])
    project.submit(providers=["again"], array={"count": 2}, gang=True)
    before = agent.take(2)
    agent.known = set()
    assert [gang_of(each) for each in agent.take(2)] == [gang_of(each) for each in before]
    agent.sync(seen(before[0], "ended", cause="start_failed"))
    wait_until(lambda: _is_stopped(agent, before[1]))
    agent.sync(seen(before[1], "ended", cause="superseded"))
    after = agent.take(2)
    assert gang_of(after[0]) == gang_of(after[1]) != gang_of(before[0])
    assert gang_of(after[0])["size"] == 2


def _is_stopped(agent: Agent, lease: dict[str, Any]) -> bool:
    agent.sync()
    return lease["lease"] in [stop["lease"] for stop in agent.answer["stops"]]
