"""What a door says when no round comes, and how it ends while others wait."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from intertie.control.waiting import Clerk, NotDecided
from tests.api.network import SPEC, Network, Party, running_network, sequence_of, wait_until


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    network.pool("lab")
    return network.project("patient")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No round comes in time, though what was asked is kept."""

    async def ask(clerk: Clerk, kind: str, actor: int, body: Any, key: str | None) -> None:
        raise NotDecided(await clerk.append(kind, actor, body, key))

    monkeypatch.setattr(Clerk, "ask", ask)


@pytest.mark.usefixtures("silent")
def test_a_job_that_no_round_took_in_time_is_known_by_its_id(project: Party) -> None:
    answer = project.http.post("/jobs", json={"spec": SPEC})
    job = answer.json()
    assert (answer.status_code, job["state"], job["name"]) == (202, "asked", "hello")
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    wait_until(lambda: project.http.get(f"/jobs/{job['id']}").status_code == 200)
    assert project.get(f"/jobs/{job['id']}")["state"] == "queued"


@pytest.mark.usefixtures("silent")
def test_any_other_ask_without_a_round_is_to_be_repeated(project: Party) -> None:
    answer = project.http.post("/quotes", json={"spec": SPEC})
    assert (answer.status_code, answer.json()["code"]) == (503, "decider_silent")
    assert answer.headers["retry-after"] == "1"


def test_a_door_that_ends_answers_those_who_wait(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as threads, running_network(tmp_path) as network:
        agent, project = network.pool("lab"), network.project("watcher")
        job = project.submit(resources={"cpus": 2})
        agent.sync()
        agent.sync()
        poll = threads.submit(agent.sync, wait_ms=25_000)
        path = f"/jobs/{job['id']}/tasks/0/logs?follow=true"
        stream = threads.submit(project.http.get, path)
        wait_until(lambda: sequence_of(network, agent) == agent.sequence)
        network.end()
        assert poll.result().status_code == 200
        assert stream.result().status_code == 200
        assert "event: end" not in stream.result().text
