"""The exchange by deltas (protocol 2), against a whole network on each database."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from intertie.control.bootstrap import raise_incarnation
from intertie.store import tables
from tests.api.deltas import DeltaAgent
from tests.api.network import Network, Party, seen, sequence_of, wait_until


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("deltas")


@pytest.fixture
def lab(network: Network, request: pytest.FixtureRequest) -> DeltaAgent:
    name = request.node.originalname[5:60]
    agent = DeltaAgent(network, name)
    agent.enrol(network.provider(name).enrol_token)
    agent.open()
    assert agent.sync().status_code == 200
    wait_until(lambda: sequence_of(network, agent) == 1)
    assert not agent.sync().json()["wants_full"]
    return agent


def submitted(lab: DeltaAgent, project: Party, **known: Any) -> dict[str, Any]:
    """Submit a job that only this pool may run, and return its lease."""
    project.submit(providers=[lab.name], **known)
    [lease] = lab.take()
    return lease


def ended(lab: DeltaAgent, lease: dict[str, Any]) -> None:
    """End a lease, and hear that it is booked."""
    lab.end(lease)
    wait_until(lambda: lease["lease"] in lab.answer["forget"] or lab.sync().status_code != 200)


def test_only_what_changed_is_answered(lab: DeltaAgent, project: Party) -> None:
    first = submitted(lab, project, name="first")
    lab.run(first)
    second = submitted(lab, project, name="second")
    assert [each["lease"] for each in lab.answer["leases"] if each["body"]] == [second["lease"]]
    assert not lab.answer["is_full"]
    lab.run(second)
    ended(lab, first)
    assert lab.wanted.digest == lab.sync().json()["wanted_digest"]
    ended(lab, second)
    assert lab.sync().json()["wanted_digest"] == "0" * 16
    assert lab.answer["leases"] == lab.answer["stops"] == lab.answer["forget"] == []


def test_an_idle_sync_reads_nothing_and_answers_before_any_round(
    network: Network, lab: DeltaAgent
) -> None:
    asked: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        if threading.current_thread().name not in ("rounds", "decider"):
            asked.append(statement)

    with listening(network.engine, note):
        assert lab.sync().status_code == 200
    reads = [each for each in asked if "FROM lease" in each or "FROM pool" in each]
    assert reads == []
    assert any("INTO inbox" in each for each in asked)


def test_a_long_poll_wakes_for_a_change_and_not_for_its_own_row(
    network: Network, lab: DeltaAgent, project: Party
) -> None:
    with ThreadPoolExecutor() as threads:
        poll = threads.submit(lab.sync, wait_ms=25_000)
        wait_until(lambda: sequence_of(network, lab) == lab.sequence)
        assert not poll.done()
        project.submit(name="poll", providers=[lab.name])
        assert poll.result().elapsed.total_seconds() < 20
    [lease] = lab.answer["leases"]
    assert lease["body"]["name"] == "poll"
    lab.run(lease)
    ended(lab, lease)


def test_a_stop_is_explicit_and_counts_in_the_digest(lab: DeltaAgent, project: Party) -> None:
    lease = submitted(lab, project, name="stopped")
    lab.run(lease)
    project.http.post(f"/jobs/{lease['body']['job']}/cancel")
    wait_until(lambda: lab.sync(wait_ms=1_000).json()["stops"])
    [stop] = lab.answer["stops"]
    assert (stop["lease"], stop["cause"], lab.answer["gone"]) == (lease["lease"], "cancelled", [])
    assert lab.wanted.heard_round == lab.answer["round"]
    ended(lab, lease)


def test_an_agent_that_lost_a_body_asks_for_it_by_name(lab: DeltaAgent, project: Party) -> None:
    lease = submitted(lab, project, name="lost")
    lab.run(lease)
    assert not any(each["body"] for each in lab.sync().json()["leases"])
    [again] = lab.sync(lacks=[lease["lease"]]).json()["leases"]
    assert again["body"] == lease["body"]
    ended(lab, lease)


def test_a_new_session_is_told_everything_and_bodies_only_where_they_are_new(
    lab: DeltaAgent, project: Party
) -> None:
    running = submitted(lab, project, name="running")
    lab.run(running)
    lab.open()
    lab.wanted.ask_everything()
    answer = lab.sync(seen(running, "running")).json()
    assert answer["is_full"]
    assert [(each["lease"], each["body"]) for each in answer["leases"]] == [
        (running["lease"], None)
    ]
    ended(lab, running)


def test_what_was_missed_shows_in_the_digest_and_everything_is_asked_for(
    lab: DeltaAgent, project: Party
) -> None:
    lease = submitted(lab, project, name="missed")
    lab.run(lease)
    lab.wanted._marks["lease-gone"] = 1
    other = submitted(lab, project, name="other")
    assert lab.wanted.heard_round == 0
    assert lab.sync(seen(lease, "running")).json()["is_full"]
    assert lab.wanted.heard_round == lab.answer["round"]
    for each in (lease, other):
        lab.run(each)
        ended(lab, each)


def test_after_a_restore_everything_is_told_and_an_unknown_lease_runs_on(
    network: Network, lab: DeltaAgent, project: Party
) -> None:
    lease = submitted(lab, project, name="kept")
    lab.run(lease)
    unknown = {"lease": "lease-zzzz", "token": 7, "state": "running"}
    raise_incarnation(network.engine)
    wait_until(lambda: lab.sync(seen(lease, "running"), unknown).json()["is_full"])
    assert [each["lease"] for each in lab.answer["leases"]] == [lease["lease"]]
    assert lab.answer["stops"] == lab.answer["forget"] == []
    forgotten = lab.sync(unknown | {"state": "ended"}).json()["forget"]
    assert forgotten == ["lease-zzzz"]
    ended(lab, lease)


def test_a_session_of_before_a_restore_is_opened_anew_and_not_fenced_out(
    lab: DeltaAgent,
) -> None:
    lab.epoch += 5
    answer = lab.sync()
    assert (answer.status_code, answer.json()["code"]) == (409, "session_unknown")


def test_requests_that_come_together_share_commits(network: Network) -> None:
    commits: list[int] = []
    with network.engine.connect() as connection:
        before = connection.execute(select(func.count()).select_from(tables.inbox)).scalar_one()

    def note(_: Any) -> None:
        if threading.current_thread().name.startswith("asyncio"):
            commits.append(1)

    event.listen(network.engine, "commit", note)
    try:
        with ThreadPoolExecutor(24) as threads:
            jobs = [threads.submit(network.project, f"crowd-{n}") for n in range(48)]
            assert all(job.result().id for job in jobs)
    finally:
        event.remove(network.engine, "commit", note)
    with network.engine.connect() as connection:
        after = connection.execute(select(func.count()).select_from(tables.inbox)).scalar_one()
    assert after - before >= 48 > len(commits)


@contextmanager
def listening(engine: Engine, note: Callable[..., None]) -> Iterator[None]:
    """Hear each statement of an engine for a while."""
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
