"""Webhooks at the door: adding, limits, what may be reached, isolation, and the event feed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.network import Network, Party

HOOK = {"url": "https://example.org/hook", "codes": ["task_ended"]}


@pytest.fixture(scope="module")
def owner(network: Network) -> Party:
    return network.project("hook-owner")


@pytest.fixture(scope="module")
def stranger(network: Network) -> Party:
    return network.project("hook-stranger")


def add(party: Party, **headers: str) -> dict[str, Any]:
    answer = party.http.post("/webhooks", json=HOOK, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_secret_is_shown_once_and_never_listed(owner: Party) -> None:
    made = add(owner)
    assert made["secret"].startswith("whsec_")
    assert made["state"] == "active"
    listed = {each["id"]: each for each in owner.get("/webhooks")["items"]}
    assert listed[made["id"]]["url"] == HOOK["url"]
    assert not listed[made["id"]]["secret"]


def test_the_same_key_returns_the_same_webhook_and_another_body_under_it_is_refused(
    owner: Party,
) -> None:
    first, again = (add(owner, **{"Idempotency-Key": "hook-1"}) for _ in range(2))
    assert first == again
    other = owner.http.post(
        "/webhooks", json=HOOK | {"codes": []}, headers={"Idempotency-Key": "hook-1"}
    )
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_another_project_neither_sees_nor_removes_nor_tries_a_webhook(
    owner: Party, stranger: Party
) -> None:
    made = add(owner)["id"]
    assert stranger.get("/webhooks")["items"] == []
    assert stranger.http.delete(f"/webhooks/{made}").status_code == 404
    assert stranger.http.post(f"/webhooks/{made}/test").status_code == 404
    assert made in {each["id"] for each in owner.get("/webhooks")["items"]}


def test_a_removed_webhook_is_gone(owner: Party) -> None:
    made = add(owner)["id"]
    removed = owner.http.delete(f"/webhooks/{made}")
    assert (removed.status_code, removed.json()["state"]) == (200, "ended")
    assert owner.http.delete(f"/webhooks/{made}").status_code == 404
    assert made not in {each["id"] for each in owner.get("/webhooks")["items"]}


def test_a_project_may_have_ten_webhooks_and_no_more(network: Network) -> None:
    party = network.project("hook-many")
    for _ in range(10):
        add(party)
    answer = party.http.post("/webhooks", json=HOOK)
    assert answer.status_code == 422
    assert answer.json()["refusal"]["code"] == "too_many_webhooks"
    assert "10" in answer.json()["refusal"]["text"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/hook", "https://"),
        ("https://127.0.0.1/hook", "not a public address"),
        ("https://[::1]/hook", "not a public address"),
        ("https://10.0.0.7/", "not a public address"),
        ("https://169.254.169.254/latest", "not a public address"),
        ("https://[::ffff:192.168.0.1]/", "not a public address"),
        ("https://me:secret@example.org/", "password"),
        ("https://[broken", "https://"),
    ],
)
def test_an_address_that_may_not_be_reached_is_refused_with_the_reason(
    owner: Party, url: str, said: str
) -> None:
    answer = owner.http.post("/webhooks", json=HOOK | {"url": url})
    assert answer.status_code == 422
    assert said in answer.json()["errors"][0]["message"]


def test_an_unknown_event_is_named_in_the_language_of_whoever_asks(
    network: Network, owner: Party
) -> None:
    with network.client(owner.token, **{"Accept-Language": "zh-CN"}) as http:
        answer = http.post("/webhooks", json=HOOK | {"codes": ["task_eaten"]})
    assert answer.json()["errors"] == [{"field": "codes.0", "message": "没有事件 task_eaten"}]


def test_the_feed_tells_a_project_of_its_own_jobs_only(
    network: Network, owner: Party, stranger: Party
) -> None:
    network.pool("hook-lab")
    mine, other = owner.submit()["id"], stranger.submit()["id"]
    found = owner.get("/events?limit=500")["items"]
    assert {each["job"] for each in found} == {mine}
    assert {each["job"] for each in stranger.get("/events")["items"]} == {other}
    numbers = [each["number"] for each in found]
    assert numbers == sorted(numbers)


def test_a_stream_begins_now_and_goes_on_after_the_last_event(
    network: Network, owner: Party
) -> None:
    with owner.http.stream("GET", "/events?follow=true") as answer:
        events = lines(answer.iter_lines())
        opened = next(events)
        job = owner.submit()["id"]
        told = next(events)
    assert opened["event"] == "open"
    assert json.loads(told["data"])["job"] == job
    assert int(told["id"]) > int(opened["id"])
    since = {"Last-Event-ID": opened["id"]}
    with owner.http.stream("GET", "/events?follow=true", headers=since) as answer:
        events = lines(answer.iter_lines())
        assert next(events)["id"] == opened["id"]
        assert next(events)["data"] == told["data"]


def lines(text: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield server-sent events as their fields."""
    fields: dict[str, str] = {}
    for line in text:
        name, colon, value = line.partition(": ")
        if colon and name:
            fields[name] = value
        if not line and fields:
            yield fields
            fields = {}
