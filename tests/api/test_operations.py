"""What operators see, what load balancers ask, and how a door and a decider end."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from intertie.api.app import create_app
from intertie.api.serving import DoorServer
from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie
from intertie.client.errors import NoAccess
from intertie.control.bootstrap import database_url, open_network
from intertie.control.leadership import led, take
from intertie.control.wake import Wake
from intertie.store import reading, tables
from intertie.wire.operations import OperationsView
from tests.api.network import Network, Party, wait_until


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("watched")


@contextmanager
def another_door(network: Network, notice_s: float = 0) -> Iterator[tuple[str, DoorServer]]:
    """A second door of the same network, told to end at the latest when the test is over."""
    wake = Wake(network.data, "door-2", network.engine)
    server = DoorServer(create_app(network.engine, wake, network.data), notice_s=notice_s)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", server
    finally:
        server.should_exit = True
        thread.join()
        wake.close()


def ready(url: str) -> tuple[int, str]:
    answer = httpx.get(f"{url}/health/ready", trust_env=False)
    return answer.status_code, answer.json().get("code", "")


def test_operators_alone_see_how_the_network_runs(network: Network, project: Party) -> None:
    assert project.http.get("/operations").status_code == 403
    with network.client() as nobody:
        assert nobody.get("/operations").status_code == 401
    with Intertie(network.url, project.token) as client, pytest.raises(NoAccess):
        client.operations()


def test_the_leader_s_counts_reach_every_door(network: Network, project: Party) -> None:
    agent = network.pool("watching")
    project.submit(array={"values": [{"N": "1"}, {"N": "2"}, {"N": "3"}]})
    too_large = {"command": ["true"], "time_limit": "1m", "resources": {"cpus": 4_000}}
    assert project.http.post("/jobs", json={"spec": too_large}).status_code == 422
    with Intertie(network.url, network.operator) as operator:
        found: list[OperationsView] = []

        def is_counted() -> bool:
            found[:] = [operator.operations()]
            counts = found[0].counts
            has_tasks = counts is not None and sum(counts.tasks.values()) >= 3
            return has_tasks and bool(counts and counts.refusals and counts.rounds)

        wait_until(is_counted)
    [view] = found
    assert view.leader.is_led
    assert view.leader.term >= 1
    assert view.counts is not None
    assert view.counts.refusals["not_enough_cpus"] >= 1
    assert sum(view.counts.balances_micro.values()) == 0
    assert view.counts.pools["online"] >= 1
    assert view.counts.lent_cores >= 2
    assert agent.id in [each.id for each in view.agents]
    assert view.counts.since <= view.counts.at <= view.now + 1_000


def test_the_page_knows_that_webhooks_fail(network: Network, project: Party) -> None:
    row = {
        "project": 1,
        "url": "https://127.0.0.1:1/",
        "secret": "kept",
        "codes": "",
        "cursor": 0,
        "failures": 3,
        "next_at": 2**52,
        "last_error": "refused",
        "created_at": 1,
    }
    with network.engine.begin() as connection:
        connection.execute(tables.webhook.insert().values(**row))
    project.submit()
    with network.client(network.operator) as operator:
        found = operator.get("/operations").json()
    with network.engine.begin() as connection:
        connection.execute(tables.webhook.delete())
    assert found["webhooks"] == {"active": 0, "failing": 1, "ended": 0}
    assert found["webhook_events_behind"] > 0
    assert "kept" not in str(found)


def test_a_door_is_ready_while_somebody_leads_and_rounds_are_taken(network: Network) -> None:
    with another_door(network) as (url, _):
        wait_until(lambda: ready(url) == (200, ""))


def test_a_door_is_not_ready_without_a_leader_or_when_rounds_stall(tmp_path: Path) -> None:
    engine, wake = open_network(database_url(tmp_path)), Wake(tmp_path, "door")
    network = Network("", "", engine, tmp_path, lambda: None)
    with another_door(network) as (url, _):
        assert ready(url) == (503, "no_leader")
        assert take(engine, "a test") == 1
        assert ready(url) == (200, "")
        with engine.begin() as connection:
            connection.execute(tables.inbox.insert().values(**_an_old_row()))
            connection.execute(update(tables.leadership).values(until_at=2**52))
        assert ready(url) == (503, "rounds_stalled")
        engine.dispose()
        for path in tmp_path.glob("network.sqlite*"):
            path.unlink()
        (tmp_path / "network.sqlite").mkdir()
        assert ready(url) == (503, "database_away")
    wake.close()


def test_a_draining_door_says_so_and_still_answers_then_lets_everybody_go(
    network: Network, project: Party
) -> None:
    agent = network.pool("draining")
    assert agent.sync().status_code == 200
    with another_door(network, notice_s=1.5) as (url, server):
        polled: list[httpx.Response] = []
        kept = network.url
        network.url = url.removesuffix("/v1")
        poll = threading.Thread(target=lambda: polled.append(agent.sync(wait_ms=60_000)))
        poll.start()
        wait_until(lambda: agent.sequence == 2 and ready(url)[0] == 200)
        time.sleep(0.2)
        server.should_exit = True
        wait_until(lambda: ready(url) == (503, "draining"))
        bearer = {"Authorization": f"Bearer {project.token}"}
        spec = {"command": ["true"], "time_limit": "1m"}
        answer = httpx.post(f"{url}/jobs", json={"spec": spec}, headers=bearer, trust_env=False)
        assert answer.status_code == 201
        poll.join(30)
        network.url = kept
    assert [each.status_code for each in polled] == [200]
    with pytest.raises(httpx.ConnectError):
        ready(url)


@pytest.mark.end_to_end
def test_sigterm_ends_a_following_reader_in_order_and_gives_up_the_term(tmp_path: Path) -> None:
    embedded = EmbeddedNetwork(tmp_path / "network")
    with embedded:
        engine = open_network(database_url(embedded.data))
        token = embedded.tokens()["operator"]
        network = Network(embedded.url, token, engine, embedded.data, lambda: None)
        network.pool("stopped")
        project = network.project("followed")
        job = project.submit()["id"]
        decider, door = embedded.processes()
        ended: list[int] = []
        follow = partial(_follow, network.url, project.token, job)
        follower = threading.Thread(target=lambda: ended.append(follow()))
        follower.start()
        wait_until(lambda: _open_streams(network) > 0)
        os.kill(door.pid, signal.SIGTERM)
        follower.join(30)
        # The stream came to its proper end: no chunk was cut off.
        assert ended == [200]
        wait_until(lambda: door.exit_code() is not None)
        assert _left_ms(network) > 0
        os.kill(decider.pid, signal.SIGTERM)
        wait_until(lambda: decider.exit_code() is not None)
        assert decider.exit_code() == 0
        assert _left_ms(network) == 0
        for client in network.clients:
            client.close()
        engine.dispose()


def _left_ms(network: Network) -> int:
    with reading.snapshot(network.engine) as connection:
        return led(connection).left_ms


def _follow(url: str, token: str, job: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    where = f"{url}/v1/jobs/{job}/events?follow=true"
    with httpx.stream("GET", where, headers=headers, trust_env=False, timeout=60) as answer:
        for _ in answer.iter_raw():
            pass
        return answer.status_code


def _open_streams(network: Network) -> int:
    headers = {"Authorization": f"Bearer {network.operator}"}
    told = httpx.get(f"{network.url}/metrics", headers=headers, trust_env=False).text
    lines = [line for line in told.splitlines() if 'requests_open{kind="stream"}' in line]
    return int(float(lines[0].split()[-1])) if lines else 0


def _an_old_row() -> dict[str, Any]:
    return {"kind": "why", "actor": 1, "at": 1, "body": "{}", "body_hash": ""}
