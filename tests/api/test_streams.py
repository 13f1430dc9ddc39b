"""Logs at offsets, and server-sent events that go on where a connection broke."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from intertie.client.streams import ServerEvent, parse
from tests.api.network import Agent, Network, Party, wait_until


@pytest.fixture(scope="module")
def lab(network: Network) -> Agent:
    return network.pool("lab")


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("reader")


class Listener:
    """Reads a stream in a thread, so that a test sees events while they come."""

    def __init__(self, network: Network, party: Party, path: str, **headers: str) -> None:
        self.events: list[ServerEvent] = []
        self._http = network.client(party.token, **headers)
        self._path = path
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with self._http.stream("GET", self._path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.events += self._kept(answer)

    def _kept(self, answer: httpx.Response) -> Iterator[ServerEvent]:
        for event in parse(answer.iter_bytes()):
            self.events.append(event)
        yield from ()

    def end(self) -> list[ServerEvent]:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.events


def test_a_log_takes_overlaps_and_refuses_gaps(lab: Agent, project: Party) -> None:
    job = project.submit(name="gaps")
    [lease] = lab.take()
    lab.run(lease)
    first = lab.put_log(lease, 0, b"hello ")
    overlap = lab.put_log(lease, 3, b"lo world")
    repeated = lab.put_log(lease, 0, b"hello")
    gap = lab.put_log(lease, 50, b"!")
    lab.end(lease)
    logs = f"/jobs/{job['id']}/tasks/0/logs"
    assert [each.status_code for each in (first, overlap, repeated)] == [204, 204, 204]
    assert (gap.status_code, gap.headers["x-intertie-offset"]) == (409, "11")
    assert project.http.get(logs).text == "hello world"
    assert project.http.get(logs, params={"offset": 6}).text == "world"
    assert project.http.get(logs, params={"offset": 99}).text == ""
    assert project.http.get(logs, params={"attempt": 1}).text == "hello world"
    assert project.http.get(logs, params={"attempt": 2}).status_code == 404
    assert project.http.get(f"/jobs/{job['id']}/tasks/7/logs").status_code == 404


def test_a_followed_log_comes_piece_by_piece_and_whole_characters(
    network: Network, lab: Agent, project: Party
) -> None:
    job = project.submit(name="follow")
    listener = Listener(network, project, f"/jobs/{job['id']}/tasks/0/logs?follow=true")
    [lease] = lab.take()
    lab.run(lease)
    word = "算力".encode()
    lab.put_log(lease, 0, word[:4])
    wait_until(lambda: listener.events)
    lab.put_log(lease, 4, word[4:])
    wait_until(lambda: len(listener.events) > 1)
    lab.put_log(lease, 6, b"\xff\n")
    lab.end(lease)
    events = listener.end()
    pieces = [json.loads(event.data) for event in events[:-1]]
    assert pieces[0] == {"offset": 0, "text": "算"}
    assert "".join(piece["text"] for piece in pieces) == "算力\ufffd\n"
    assert (events[-1].event, events[-1].id) == ("end", "8")
    rest = Listener(network, project, f"/jobs/{job['id']}/tasks/0/logs?follow=true&offset=3")
    assert json.loads(rest.end()[0].data)["text"].startswith("力")


def test_a_followed_log_goes_on_with_the_next_attempt(
    network: Network, lab: Agent, project: Party
) -> None:
    job = project.submit(name="again")
    listener = Listener(network, project, f"/jobs/{job['id']}/tasks/0/logs?follow=true")
    for text in (b"one\n", b"two\n"):
        [lease] = lab.take()
        lab.run(lease)
        lab.put_log(lease, 0, text)
        is_first = text == b"one\n"
        lab.end(lease, **({"cause": "reclaimed", "exit_code": None} if is_first else {}))
    events = listener.end()
    assert "".join(json.loads(each.data)["text"] for each in events[:-1]) == "one\ntwo\n"
    second = project.http.get(f"/jobs/{job['id']}/tasks/0/logs", params={"attempt": 2})
    assert second.text == "two\n"


def test_events_tell_a_job_from_queue_to_settlement_and_resume(
    network: Network, lab: Agent, project: Party
) -> None:
    job = project.submit(name="events")
    path = f"/jobs/{job['id']}/events"
    listener = Listener(network, project, f"{path}?follow=true", **{"Accept-Language": "zh"})
    [lease] = lab.take()
    lab.run(lease)
    lab.end(lease)
    events = listener.end()
    told: list[dict[str, Any]] = [json.loads(each.data) for each in events[:-1]]
    resumed = Listener(network, project, f"{path}?follow=true", **{"Last-Event-ID": events[1].id})
    first = project.get(f"{path}?limit=2")
    rest = project.get(f"{path}?after={first['next']}")
    codes = [each["code"] for each in told]
    assert events[-1].event == "end"
    assert (codes[0], codes[-1]) == ("job_queued", "job_settled")
    assert [each.id for each in resumed.end()[:-1]] == [each.id for each in events[2:-1]]
    assert [each["number"] for each in first["items"] + rest["items"]] == [
        each["number"] for each in told
    ]
    placed = next(each for each in told if each["code"] == "task_placed")
    assert placed["values"]["provider"] == "lab"
    assert "lab" in placed["text"]
    assert all(any("\u4e00" <= c <= "\u9fff" for c in each["text"]) for each in told)


def test_a_stream_is_not_shown_to_strangers(network: Network, lab: Agent, project: Party) -> None:
    job = project.submit(name="private")
    other = network.project("eavesdropper")
    for path in ("events", "tasks/0/logs"):
        answer = other.http.get(f"/jobs/{job['id']}/{path}?follow=true")
        assert answer.status_code == 404
    [lease] = lab.take()
    lab.run(lease)
    lab.end(lease)
