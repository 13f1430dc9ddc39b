"""The same key and body returns the first answer; the same key with another body is a conflict."""

import pytest

from tests.api.network import SPEC, Network, Party


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    network.pool("lab")
    return network.project("careful")


def test_a_job_is_submitted_once_under_one_key(project: Party) -> None:
    key = {"Idempotency-Key": "once"}
    first = project.http.post("/jobs", json={"spec": SPEC}, headers=key)
    again = project.http.post("/jobs", json={"spec": SPEC}, headers=key)
    other = project.http.post("/jobs", json={"spec": SPEC | {"name": "x"}}, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len(project.get("/jobs")["items"]) == 1
    cancel = f"/jobs/{first.json()['id']}/cancel"
    assert project.http.post(cancel, headers=key).json() == project.get(cancel[:-7])


def test_a_refusal_is_the_same_under_one_key(project: Party) -> None:
    key, spec = {"Idempotency-Key": "no"}, SPEC | {"kind": "service"}
    answers = [project.http.post("/jobs", json={"spec": spec}, headers=key) for _ in range(2)]
    assert [each.status_code for each in answers] == [422, 422]
    assert answers[0].json() == answers[1].json()
    assert len(project.get("/refusals")["items"]) == 1


def test_two_projects_may_use_the_same_key(network: Network, project: Party) -> None:
    other, key = network.project("other"), {"Idempotency-Key": "once"}
    answer = other.http.post("/jobs", json={"spec": SPEC | {"name": "y"}}, headers=key)
    assert answer.status_code == 201


def test_a_quote_is_made_once_under_one_key(project: Party) -> None:
    key = {"Idempotency-Key": "quote"}
    answers = [project.http.post("/quotes", json={"spec": SPEC}, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()


def test_a_token_is_shown_once_and_a_replay_answers_without_it(network: Network) -> None:
    key = {"Idempotency-Key": "create"}
    with network.client(network.operator) as operator:
        for kind in ("projects", "providers"):
            body = {"name": "twin"}
            first = operator.post(f"/{kind}", json=body, headers=key)
            again = operator.post(f"/{kind}", json=body, headers=key)
            taken = operator.post(f"/{kind}", json=body)
            assert first.json()["token"]
            assert again.json() == {**first.json(), "token": "", "enrol_token": ""}
            assert (taken.status_code, taken.json()["refusal"]["code"]) == (409, "name_taken")


def test_credit_comes_in_once_under_one_key(network: Network, project: Party) -> None:
    with network.client(network.operator) as operator:
        before = operator.get(f"/projects/{project.id}").json()["wallet_micro"]
        for _ in range(2):
            answer = operator.post(
                f"/projects/{project.id}/top-up",
                json={"amount": "2.5"},
                headers={"Idempotency-Key": "credit"},
            )
            assert answer.json()["wallet_micro"] == before + 2_500_000
        absurd = operator.post(f"/projects/{project.id}/top-up", json={"amount": 10**12})
        missing = operator.post("/projects/project-zzzz/top-up", json={"amount": 1})
    assert (absurd.status_code, absurd.json()["errors"][0]["field"]) == (422, "amount")
    assert missing.status_code == 404


def test_a_blocked_project_is_refused_until_the_block_is_lifted(network: Network) -> None:
    project = network.project("blocked")
    with network.client(network.operator) as operator:
        path = f"/projects/{project.id}/block"
        assert operator.post(path, json={"is_blocked": True}).json()["is_blocked"]
        refused = project.http.post("/jobs", json={"spec": SPEC})
        assert not operator.post(path, json={"is_blocked": False}).json()["is_blocked"]
    assert refused.json()["refusal"]["code"] == "project_blocked"
    assert project.http.post("/jobs", json={"spec": SPEC}).status_code == 201
