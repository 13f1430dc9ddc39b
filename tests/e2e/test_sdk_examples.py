"""The examples in the SDK's docstrings run as they stand, against a real network."""

import doctest

import pytest

import intertie.client.network
from tests.support.live import River


def test_every_example_of_the_sdk_works_as_written(
    river: River, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERTIE_URL", river.network.url)
    monkeypatch.setenv("INTERTIE_TOKEN", river.network.tokens()["alpha"])
    result = doctest.testmod(intertie.client.network, verbose=False)
    assert result.attempted >= 5
    assert result.failed == 0
