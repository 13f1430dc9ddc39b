"""Enrolment, sessions, signatures, fencing, and messages that no round should see."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.network import Agent, Network, pool_body, seen, wait_until

TERMS = pool_body("any")["terms"]


@pytest.fixture(scope="module")
def lab(network: Network) -> Agent:
    return network.pool("lab")


def test_an_enrolment_token_works_once(network: Network) -> None:
    token = network.provider("once").enrol_token
    first, second = Agent(network, "once"), Agent(network, "twice")
    enrolled = first.enrol(token)
    body = {"token": token, "pool": "twice", "public_key": second.public}
    refused = second.post("/agents", body)
    assert enrolled["network"] == "test"
    assert (refused.status_code, refused.json()["code"]) == (401, "enrol_token_unknown")


def test_an_enrolment_that_lost_its_answer_may_be_repeated(network: Network) -> None:
    token = network.provider("lossy").enrol_token
    agent = Agent(network, "lossy")
    body = {"token": token, "pool": "lossy", "public_key": agent.public}
    answers = [agent.post("/agents", body, **{"Idempotency-Key": "k"}) for _ in range(2)]
    other = agent.post("/agents", body | {"pool": "other"}, **{"Idempotency-Key": "k"})
    assert answers[0].json() == answers[1].json()
    assert other.status_code == 401


def test_a_provider_makes_more_enrolment_tokens_for_itself_only(network: Network) -> None:
    one, two = network.provider("one"), network.provider("two")
    own = one.http.post(f"/providers/{one.id}/enrol-tokens")
    others = one.http.post(f"/providers/{two.id}/enrol-tokens")
    Agent(network, "second").enrol(own.json()["enrol_token"])
    assert [pool["name"] for pool in one.get(f"/providers/{one.id}")["pools"]] == ["second"]
    assert others.status_code == 404
    assert one.get(f"/providers/{one.id}")["earned_micro"] == 0


def test_only_the_agents_own_key_speaks_for_it(network: Network, lab: Agent) -> None:
    thief = Agent(network, "lab", id=lab.id, epoch=lab.epoch, sequence=100)
    forged = thief.sync()
    body = b"{}"
    with network.client() as http:
        unsigned = http.post(f"/agents/{lab.id}/sync", content=body)
        moved = http.post(
            f"/agents/{lab.id}/sync",
            content=body,
            headers={"X-Intertie-Signature": lab.sign("POST", "/v1/agents/agent-zzzz/sync", body)},
        )
    assert [each.status_code for each in (forged, unsigned, moved)] == [401, 401, 401]
    assert forged.json()["code"] == "bad_signature"


def test_a_newer_session_fences_the_older_out(network: Network) -> None:
    agent = network.pool("twins")
    with ThreadPoolExecutor() as threads:
        agent.sync()
        waiting = threads.submit(agent.sync, wait_ms=25_000)
        newer = Agent(network, "twins", key=agent.key, id=agent.id)
        newer.open()
        polled = waiting.result()
    late = agent.sync()
    assert (polled.status_code, polled.json()["code"]) == (409, "fenced_out")
    assert (late.status_code, late.json()["code"]) == (409, "fenced_out")
    assert newer.sync().status_code == 200


def test_a_newer_sync_of_the_same_session_ends_the_older_wait(network: Network) -> None:
    agent = network.pool("hasty")
    agent.sync()
    with ThreadPoolExecutor() as threads:
        older = threads.submit(agent.sync, wait_ms=25_000)
        wait_until(lambda: agent.sequence == 2)
        agent.sync()
        assert older.result().elapsed.total_seconds() < 20


def test_a_message_that_a_round_could_not_read_is_refused_at_the_door(lab: Agent) -> None:
    lease = {"lease": "lease-0001", "token": 1}
    wrong = [
        lab.sync(known=["garbage"]),
        lab.sync(leases=[{"lease": "job-0001", "token": 1, "state": "running"}]),
        lab.sync(leases=[lease | {"state": "running", "ran_ms": 2**70}]),
        lab.sync(leases=[lease | {"state": "dancing"}]),
        lab.sync(protocol=9),
        lab.post(
            f"/agents/{lab.id}/sessions",
            {"pool": pool_body("lab"), "protocol_min": 7, "protocol_max": 8},
        ),
        lab.post(
            f"/agents/{lab.id}/sessions",
            {"pool": pool_body("lab") | {"terms": {**TERMS, "price_micro_per_unit_h": 2**50}}},
        ),
        lab.post("/agents", {"token": "t", "pool": "p", "public_key": "short"}),
    ]
    assert [each.status_code for each in wrong] == [422] * len(wrong)
    assert wrong[2].json()["errors"][0]["field"] == "leases.0.ran_ms"
    assert wrong[4].json()["code"] == "protocol_unsupported"
    assert lab.sync().status_code == 200


def test_a_lease_that_the_network_never_made_is_not_stopped(lab: Agent) -> None:
    unknown = {"lease": "lease-zzzz", "token": 1}
    lab.sync(seen(unknown, "running"))
    running = lab.answer
    lab.sync(seen(unknown, "ended", cause="exited", exit_code=0))
    assert (running["stops"], running["forget"]) == ([], [])
    assert lab.answer["forget"] == ["lease-zzzz"]


def test_a_stranger_agent_is_not_found(network: Network) -> None:
    agent = Agent(network, "nobody", id="agent-zzzz")
    assert agent.sync().status_code == 404


def test_an_agent_that_has_left_is_let_in_no_more_and_its_name_is_free(network: Network) -> None:
    provider = network.provider("mover")
    agent = Agent(network, "van")
    agent.enrol(provider.enrol_token)
    agent.open()
    assert agent.sync().status_code == 200
    left = agent.post(f"/agents/{agent.id}/leave", {})
    assert (left.status_code, left.json()) == (200, {"agent": agent.id})
    assert agent.post(f"/agents/{agent.id}/leave", {}).status_code in (200, 410)  # it may be lost
    late = [
        agent.post(f"/agents/{agent.id}/sessions", {"pool": pool_body("van")}),
        agent.sync(),
    ]
    assert [(each.status_code, each.json()["code"]) for each in late] == [(410, "agent_left")] * 2
    token = provider.http.post(f"/providers/{provider.id}/enrol-tokens").json()["enrol_token"]
    again = Agent(network, "van")
    again.enrol(token)
    assert again.id != agent.id
    again.open()
    assert again.sync().status_code == 200


def test_an_agent_whose_lease_runs_cannot_leave(network: Network) -> None:
    agent = network.pool("stayer")
    project = network.project("hiker")
    project.submit(providers=["stayer"])
    [lease] = agent.take()
    agent.run(lease)
    refused = agent.post(f"/agents/{agent.id}/leave", {})
    assert (refused.status_code, refused.json()["refusal"]["code"]) == (409, "leases_left")
    agent.end(lease)
    wait_until(lambda: agent.post(f"/agents/{agent.id}/leave", {}).status_code in (200, 410))
