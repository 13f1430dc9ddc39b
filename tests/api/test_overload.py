"""Too much: a door says no quickly, says when to come again, and loses nothing it acknowledged."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from intertie.api.overload import AGENTS_MAX, USERS_MAX, Gate
from intertie.api.problems import Wrong
from intertie.client.transport import Transport
from intertie.control.waiting import Clerk
from intertie.model.policy import Policy
from tests.api.network import SPEC, Network, running_network

POLICY = Policy(asks_per_s_max=1, asks_burst=20, inbox_wait_ms_max=30_000)


class Behind:
    """Rounds that are behind by so much."""

    def __init__(self, inbox_wait_ms: int = 0) -> None:
        self.inbox_wait_ms = inbox_wait_ms


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def a_gate(behind_ms: int = 0, clock: Clock | None = None) -> Gate:
    return Gate(POLICY, Behind(behind_ms), clock or Clock())  # type: ignore[arg-type]


def test_a_project_may_burst_then_asks_at_its_rate_and_others_are_not_touched() -> None:
    clock = Clock()
    gate = a_gate(clock=clock)
    for _ in range(20):
        gate.take(1)
    with pytest.raises(Wrong) as no:
        gate.take(1)
    assert (no.value.status_code, no.value.headers) == (429, {"Retry-After": "1"})
    gate.take(2)
    clock.now_s += 1.0
    gate.take(1)
    with pytest.raises(Wrong):
        gate.take(1)


def test_a_network_that_is_behind_takes_no_users_asks_but_reads_and_agents() -> None:
    gate = a_gate(behind_ms=POLICY.inbox_wait_ms_max + 1)
    gate.check_busy(is_agent=True, asks=True)
    gate.check_busy(is_agent=False, asks=False)
    with pytest.raises(Wrong) as no:
        gate.check_busy(is_agent=False, asks=True)
    assert no.value.status_code == 503
    assert no.value.headers is not None
    assert int(no.value.headers["Retry-After"]) >= 1


def test_users_fill_up_before_agents_do() -> None:
    gate = a_gate()
    gate.open = {True: USERS_MAX, False: USERS_MAX}
    gate.check_busy(is_agent=True, asks=True)
    with pytest.raises(Wrong):
        gate.check_busy(is_agent=False, asks=False)
    gate.open[True] = AGENTS_MAX
    with pytest.raises(Wrong):
        gate.check_busy(is_agent=True, asks=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Network]:
    data: Path = tmp_path_factory.mktemp("small")
    with running_network(data, POLICY, module_database_url) as network:
        yield network


def test_ten_times_too_much_is_refused_and_nothing_acknowledged_is_lost(small: Network) -> None:
    project = small.project("hasty")
    agent = small.pool("lab")

    def submit(number: int) -> httpx.Response:
        with small.client(project.token) as http:
            headers = {"Idempotency-Key": f"job-{number}", "Accept-Language": "zh-CN"}
            return http.post("/jobs", json={"spec": SPEC}, headers=headers)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(submit, range(200)))
    assert agent.sync().status_code == 200
    found = Counter(each.status_code for each in answers)
    assert set(found) <= {201, 202, 429}
    assert found[429] > 100
    no = next(each for each in answers if each.status_code == 429)
    assert int(no.headers["Retry-After"]) >= 1
    assert no.headers["content-type"] == "application/problem+json"
    assert no.json()["refusal"]["code"] == "asks_too_fast"
    assert "每秒" in no.json()["refusal"]["text"]
    taken = {each.json()["id"] for each in answers if each.status_code in (201, 202)}
    listed = project.get("/jobs?limit=500")["items"]
    assert {job["id"] for job in listed} == taken


def test_who_comes_again_as_told_is_taken(small: Network) -> None:
    project = small.project("patient")
    transport = Transport(small.url, project.token)
    jobs = [transport.post("jobs", {"spec": SPEC}) for _ in range(24)]
    assert len({job["id"] for job in jobs}) == 24
    transport.close()


def test_while_the_inbox_waits_users_are_sent_away_before_anything_is_appended(
    small: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = small.project("late")
    monkeypatch.setattr("intertie.api.overload.Gate.check_busy", _behind)

    async def never(*_: object) -> None:
        raise AssertionError("nothing is appended")

    monkeypatch.setattr(Clerk, "ask", never)
    answer = project.http.post("/jobs", json={"spec": SPEC})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["refusal"]["relaxation"]["code"] == "wait"
    assert int(answer.headers["Retry-After"]) >= 1
    assert project.http.get("/jobs").status_code == 200


_CHECK = Gate.check_busy


def _behind(gate: Gate, is_agent: bool, asks: bool) -> None:
    """Judge as if the oldest row had waited too long."""
    _CHECK(a_gate(behind_ms=gate._policy.inbox_wait_ms_max + 1), is_agent, asks)
