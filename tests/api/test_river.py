"""One job from POST /v1/jobs to its receipt, through an agent that speaks the signed protocol."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest

from tests.api.network import SPEC, Agent, Network, Party, sequence_of, wait_until


@pytest.fixture(scope="module")
def lab(network: Network) -> Agent:
    return network.pool("lab")


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("small-lab")


def settled(project: Party, job: dict[str, Any]) -> dict[str, Any]:
    wait_until(lambda: project.get(f"/jobs/{job['id']}")["state"] == "settled")
    found: dict[str, Any] = project.get(f"/jobs/{job['id']}")
    return found


def test_a_job_goes_from_submission_to_a_receipt_that_adds_up(lab: Agent, project: Party) -> None:
    job = project.submit(environment={"A": "1"})
    [lease] = lab.take()
    body = lease["body"]
    lab.run(lease)
    running = project.get(f"/jobs/{job['id']}")
    lab.end(lease, ran_ms=5)
    ended = settled(project, job)
    receipt = project.get(f"/jobs/{job['id']}/receipt")

    assert job["state"] == "queued"
    assert job["spec"] == SPEC | {"environment": {"A": "1"}, "expected": 10, "time_limit": 60}
    assert body["command"] == ["echo", "hello"]
    assert body["environment"]["A"] == "1"
    assert body["environment"]["INTERTIE_TASK_COUNT"] == "1"
    assert running["running_by_provider"] == {"lab": 1}
    assert running["held_micro"] > 0
    assert (ended["outcome"], ended["held_micro"]) == ("done", 0)
    assert receipt["sum_micro"] == 0
    assert receipt["paid_micro"] == ended["spent_micro"] > 0
    [part] = receipt["by_provider"]
    assert part["provider"] == "lab"
    assert part["paid_micro"] == receipt["paid_micro"] - receipt["fee_micro"]
    [line] = receipt["lines"]
    assert line["agent_s"] == 0.005
    assert line["paid_s"] == min(line["agent_s"], line["network_s"])
    larger = max(line["agent_s"], line["network_s"])
    gap = 100 * abs(line["agent_s"] - line["network_s"]) / larger
    assert line["difference_percent"] == pytest.approx(gap)
    assert project.get("/ledger/check")["ok"]


def test_an_agent_hears_a_lease_once_and_forgets_it_when_it_is_booked(
    lab: Agent, project: Party
) -> None:
    job = project.submit(name="once")
    [lease] = lab.take()
    lab.run(lease)
    again = next(each for each in lab.answer["leases"] if each["lease"] == lease["lease"])
    lab.end(lease)
    wait_until(lambda: settled(project, job))
    assert again["body"] is None
    assert lease["lease"] in lab.answer["forget"]
    lab.sync()
    assert lab.answer["forget"] == []


def test_a_long_poll_answers_when_a_job_arrives(
    network: Network, lab: Agent, project: Party
) -> None:
    with ThreadPoolExecutor() as threads:
        lab.sync()
        poll = threads.submit(lab.sync, wait_ms=25_000)
        wait_until(lambda: sequence_of(network, lab) == lab.sequence)
        job = project.submit(name="poll")
        assert poll.result().elapsed.total_seconds() < 20
    [lease] = lab.take()
    assert lease["body"]["job"] == job["id"]
    lab.run(lease)
    lab.end(lease)
    settled(project, job)


def test_a_cancelled_job_is_stopped_explicitly_and_costs_what_it_ran(
    lab: Agent, project: Party
) -> None:
    job = project.submit(name="cancel")
    [lease] = lab.take()
    lab.run(lease)
    assert project.http.post(f"/jobs/{job['id']}/cancel").status_code == 201
    assert project.http.post(f"/jobs/{job['id']}/cancel").status_code == 201
    wait_until(lambda: lab.sync(wait_ms=1_000).json()["stops"])
    [stop] = lab.answer["stops"]
    lab.end(lease, cause="cancelled", exit_code=None, signal=15)
    assert (stop["lease"], stop["cause"]) == (lease["lease"], "cancelled")
    assert settled(project, job)["outcome"] == "cancelled"
    why = project.get(f"/jobs/{job['id']}/why")
    assert "cancelled" in why["summary"]


def test_the_tasks_of_an_array_see_their_values(lab: Agent, project: Party) -> None:
    job = project.submit(name="grid", array={"grid": {"RATE": [1, 2]}})
    leases = lab.take(2)
    for lease in leases:
        lab.run(lease)
        lab.end(lease)
    settled(project, job)
    seen = {
        (body["environment"]["INTERTIE_TASK_INDEX"], body["environment"]["RATE"])
        for body in (lease["body"] for lease in leases)
    }
    tasks = project.get(f"/jobs/{job['id']}/tasks?limit=1")
    rest = project.get(f"/jobs/{job['id']}/tasks?limit=1&after={tasks['next']}")
    assert seen == {("0", "1"), ("1", "2")}
    assert tasks["items"][0]["values"] == {"RATE": "1"}
    assert rest["items"][0]["attempts"][0]["cause"] == "exited"
    assert rest["next"] is None


def test_a_quote_holds_for_the_job_that_names_it(lab: Agent, project: Party) -> None:
    lab.sync()
    answer = project.http.post("/quotes", json={"spec": SPEC})
    quote = answer.json()
    job = project.http.post("/jobs", json={"spec": SPEC, "quote": quote["id"]}).json()
    used = project.get(f"/quotes/{quote['id']}")
    twice = project.http.post("/jobs", json={"spec": SPEC, "quote": quote["id"]})
    project.http.post(f"/jobs/{job['id']}/cancel")
    [option] = quote["options"]
    assert answer.status_code == 201
    assert option["is_chosen"]
    assert option["pools"][0]["provider"] == "lab"
    assert (job["quote"], used["state"]) == (quote["id"], "accepted")
    assert (twice.status_code, twice.json()["refusal"]["code"]) == (422, "quote_used")


def test_offers_and_providers_show_speed_and_price_per_unit(lab: Agent, project: Party) -> None:
    [offer] = project.get("/offers")["items"]
    [provider] = project.get("/providers")["items"]
    assert offer["provider"] == "lab"
    assert offer["price_micro_per_su"] == offer["price_micro_per_unit_h"] == 1_000_000
    assert (offer["score"], offer["score_source"]) == (1.0, "measured")
    assert offer["units_total"] == 2
    assert provider["earned_micro"] is None
    assert provider["pools"][0]["state"] == "online"


def test_a_checkpoint_is_laid_into_the_next_attempt(lab: Agent, project: Party) -> None:
    job = project.submit(name="resume", checkpoint={"path": "state"})
    [lease] = lab.take()
    lab.run(lease)
    content = b"step 3"
    with lab.attempt(lease) as http:
        sha = sha_of(content)
        assert http.put(f"/blobs/{sha}", content=content).status_code == 201
    file = {"path": "state", "sha256": sha, "size_bytes": len(content), "kind": "checkpoint"}
    lab.end(lease, cause="reclaimed", exit_code=None, signal=15, files=[file])
    [second] = lab.take()
    resume = second["body"]["resume"]
    with lab.attempt(second) as http:
        fetched = http.get(f"/blobs/{sha}").content
        other = http.get(f"/blobs/{sha_of(b'other')}").status_code
    lab.run(second)
    lab.end(second)
    settled(project, job)
    assert resume == [{"path": "state", "sha256": sha, "size_bytes": len(content)}]
    assert (fetched, other) == (content, 404)
    assert project.get(f"/jobs/{job['id']}/receipt")["tasks_resumed"] == 1


def sha_of(content: bytes) -> str:
    return sha256(content).hexdigest()
