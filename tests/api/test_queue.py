"""The queue, over HTTP: what a project and what an operator are told, and how it is scored."""

from typing import Any

import pytest

from intertie.client import Intertie
from intertie.control.metrics import REGISTRY
from tests.api.network import Agent, Network, wait_until

LARGE: dict[str, Any] = {"resources": {"cpus": 2, "memory": "1GiB"}, "expected": "20m"}


@pytest.fixture(scope="module")
def lab(network: Network) -> Agent:
    """A pool of two cores."""
    return network.pool("queue-lab")


def early() -> float:
    return REGISTRY.get_sample_value("intertie_expected_starts_total", {"verdict": "early"}) or 0.0


def test_what_waits_is_told_with_starts_reasons_and_what_would_be_sooner_and_is_scored(
    network: Network, lab: Agent
) -> None:
    first, second = network.project("first"), network.project("second")
    first.submit(**LARGE, time_limit="40m")
    [lease] = lab.take()
    lab.run(lease, 1)
    mine = first.submit(**LARGE, time_limit="40m", name="mine")
    theirs = second.submit(**LARGE, time_limit="40m", name="theirs")
    told = first.get("/queue")
    assert told["count"] == 2
    hidden, own = told["waiting"]
    assert (hidden["job"], hidden["name"], hidden["project"]) == (None, "", "")
    assert (own["job"], own["name"], own["project"]) == (mine["id"], "mine", "first")
    assert own["start"]["low_at"] < own["start"]["likely_at"] < own["start"]["high_at"]
    assert own["nearest"]["code"] == "pool_full"
    assert {share["project"] for share in told["shares"]} == {"first", None}
    with Intertie(network.url, network.operator) as operator:
        everything = operator.queue()
        assert [each.job for each in everything.waiting] == [theirs["id"], mine["id"]]
        why = operator.why(theirs["id"])
        assert why.start is not None
        likely_at = everything.waiting[0].start.likely_at
        assert why.start.likely_at is not None
        assert likely_at is not None
        assert abs(why.start.likely_at - likely_at) < 5_000
        # It was expected to take half of its twenty minutes at least.
        before = early()
        lab.end(lease)
        wait_until(lambda: early() == before + 1)
        wait_until(lambda: (counts := operator.operations().counts) and counts.expected_starts)


def test_who_is_no_project_and_no_operator_is_told_nothing(network: Network) -> None:
    with network.client() as nobody:
        assert nobody.get("/queue").status_code == 401
    assert network.provider("queue-provider").http.get("/queue").status_code == 403
