"""Who may call a session, who may answer, and what the door does with their bytes."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from intertie.api import sessions
from intertie.api.app import create_app
from intertie.api.serving import DoorServer
from intertie.control.wake import Wake
from tests.api.deltas import DeltaAgent
from tests.api.network import Agent, Network, Party, wait_until

PATIENCE_S = 30


@pytest.fixture(name="lab", scope="module")
def _lab(network: Network) -> Agent:
    return network.pool("lab", abilities=["sandbox", "sessions"])


@pytest.fixture(name="alpha", scope="module")
def _alpha(network: Network) -> Party:
    return network.project("alpha")


@pytest.fixture(name="lease")
def _lease(alpha: Party, lab: Agent) -> Iterator[dict[str, Any]]:
    """A session that its agent reports as running, until the test is over."""
    job = alpha.submit(kind="session", resources={"cpus": 1, "memory": "64MiB"})
    [lease] = lab.take()
    assert lease["body"]["kind"] == "session"
    lab.run(lease)
    wait_until(lambda: alpha.get(f"/jobs/{job['id']}")["state"] == "running")
    yield lease | {"job": job["id"]}
    lab.end(lease)


def test_bytes_pass_both_ways_until_one_end_closes(
    network: Network, lab: Agent, alpha: Party, lease: dict[str, Any]
) -> None:
    content = bytes(range(256)) * 256
    with _joined(network, lab, alpha, lease) as (user, agent):
        user.send(content)
        assert agent.recv(PATIENCE_S) == content
        agent.send(content[::-1])
        assert user.recv(PATIENCE_S) == content[::-1]
        agent.close(1011, "the program does not listen")
        with pytest.raises(ConnectionClosed) as closed:
            user.recv(PATIENCE_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "the program does not listen"


def test_a_call_ends_the_agents_long_poll_at_once_and_is_gone_when_it_has_dialled(
    network: Network, alpha: Party
) -> None:
    agent = DeltaAgent(network, "patient")
    agent.enrol(network.provider("patient").enrol_token)
    agent.open(abilities=["sessions"], region="elsewhere")
    job = alpha.submit(kind="session", residency=["elsewhere"])
    [lease] = agent.take()
    agent.run(lease)
    wait_until(lambda: alpha.get(f"/jobs/{job['id']}")["state"] == "running")
    assert agent.sync().status_code == 200
    with ThreadPoolExecutor(1) as thread:
        dialling = thread.submit(_dial, network, alpha, job["id"])
        while not agent.answer["calls"]:  # each of these waits for longer than a test may last
            assert agent.sync(wait_ms=50_000).status_code == 200
        [call] = agent.answer["calls"]
        assert (call["lease"], call["token"]) == (lease["lease"], lease["token"])
        with _answering(network, agent, call["nonce"]), dialling.result(PATIENCE_S):
            wait_until(lambda: agent.sync().json()["calls"] == [])
    agent.end(lease)


def test_a_nonce_is_good_once_and_for_its_own_agent_only(
    network: Network, lab: Agent, alpha: Party, lease: dict[str, Any]
) -> None:
    other = network.pool("other")
    thief = Agent(network, "lab", id=lab.id)
    with ThreadPoolExecutor(1) as thread:
        dialling = thread.submit(_dial, network, alpha, lease["job"])
        nonce = _nonce(lab)
        assert _status(lambda: _answering(network, other, nonce)) == 404
        assert _status(lambda: _answering(network, thief, nonce)) == 401
        assert _status(lambda: _answering(network, lab, "made-up")) == 404
        with _answering(network, lab, nonce), dialling.result(PATIENCE_S):
            assert _status(lambda: _answering(network, lab, nonce)) == 404


def test_only_the_jobs_own_project_may_call(network: Network, lease: dict[str, Any]) -> None:
    stranger, provider = network.project("stranger"), network.provider("curious")
    assert _status(lambda: _dial(network, stranger, lease["job"])) == 404
    assert _status(lambda: _dial(network, provider, lease["job"])) == 403
    nobody = Party("", "", "", network.client())
    assert _status(lambda: _dial(network, nobody, lease["job"])) == 401


def test_a_call_before_and_after_the_session_says_which(
    network: Network, lab: Agent, alpha: Party
) -> None:
    job = alpha.submit(kind="session")
    assert _code(lambda: _dial(network, alpha, job["id"])) == (409, "session_waits")
    [lease] = lab.take()
    lab.end(lease)
    wait_until(lambda: alpha.get(f"/jobs/{job['id']}")["state"] == "settled")
    assert _code(lambda: _dial(network, alpha, job["id"])) == (409, "session_over")


def test_a_batch_job_has_no_session(network: Network, lab: Agent, alpha: Party) -> None:
    job = alpha.submit()
    assert _code(lambda: _dial(network, alpha, job["id"])) == (409, "no_session")
    [lease] = lab.take()
    lab.end(lease)


def test_an_agent_that_does_not_dial_is_told_to_the_user(
    network: Network, alpha: Party, lease: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CALL_S", 0.2)
    assert _code(lambda: _dial(network, alpha, lease["job"])) == (503, "agent_silent")


def test_one_connection_too_many_of_a_job_is_refused(
    network: Network,
    lab: Agent,
    alpha: Party,
    lease: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "PER_JOB_MAX", 1)
    with _joined(network, lab, alpha, lease):
        refused = _code(lambda: _dial(network, alpha, lease["job"]))
        assert refused == (429, "too_many_connections")
    with _joined(network, lab, alpha, lease) as (user, agent):
        user.send(b"again")
        assert agent.recv(PATIENCE_S) == b"again"


def test_a_call_at_one_door_is_heard_at_another_and_names_where_to_dial(
    network: Network,
    lab: Agent,
    alpha: Party,
    lease: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _second_door(network, tmp_path) as url, ThreadPoolExecutor(1) as thread:
        monkeypatch.setenv(sessions.URL_VARIABLE, url)
        dialling = thread.submit(_dial, network, alpha, lease["job"], url)
        call = _call(lab)
        assert call["url"] == url
        assert _status(lambda: _answering(network, lab, call["nonce"])) == 404
        with _answering(network, lab, call["nonce"], url) as agent:
            user = dialling.result(PATIENCE_S)
            user.send(b"over there")
            assert agent.recv(PATIENCE_S) == b"over there"
            user.close()


@contextmanager
def _joined(
    network: Network, lab: Agent, alpha: Party, lease: dict[str, Any]
) -> Iterator[tuple[ClientConnection, ClientConnection]]:
    """A user and an agent who were joined."""
    with ThreadPoolExecutor(1) as thread:
        dialling: Future[ClientConnection] = thread.submit(_dial, network, alpha, lease["job"])
        with _answering(network, lab, _nonce(lab)) as agent, dialling.result(PATIENCE_S) as user:
            yield user, agent


@contextmanager
def _second_door(network: Network, data: Path) -> Iterator[str]:
    wake = Wake(network.data, "second", network.engine)
    server = DoorServer(create_app(network.engine, wake, data))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        wake.close()


def _dial(network: Network, party: Party, job: str, url: str = "") -> ClientConnection:
    headers = {"Authorization": f"Bearer {party.token}"} if party.token else {}
    return _open(url or network.url, f"/v1/jobs/{job}/session", headers)


def _answering(network: Network, agent: Agent, nonce: str, url: str = "") -> ClientConnection:
    path = f"/v1/agents/{agent.id}/calls/{nonce}"
    signature = agent.sign("GET", path, b"")
    return _open(url or network.url, path, {"X-Intertie-Signature": signature})


def _open(url: str, path: str, headers: dict[str, str]) -> ClientConnection:
    where = f"ws{url.removeprefix('http')}{path}"
    dialling = connect(
        where, additional_headers=headers, proxy=None, open_timeout=2 * PATIENCE_S, max_size=None
    )
    return dialling.__enter__()


def _call(agent: Agent) -> dict[str, Any]:
    """Return the call that the agent is told of."""

    def is_called() -> bool:
        assert agent.sync().status_code == 200
        return bool(agent.answer["calls"])

    wait_until(is_called)
    [call] = agent.answer["calls"]
    return dict(call)


def _nonce(agent: Agent) -> str:
    return str(_call(agent)["nonce"])


def _status(act: Any) -> int:
    return _refused(act).response.status_code


def _code(act: Any) -> tuple[int, str]:
    refused = _refused(act)
    return refused.response.status_code, json.loads(refused.response.body)["code"]


def _refused(act: Any) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as refused:
        act()
    return refused.value
