"""Every error is a problem that names the field and the fix, in the language of the asker."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from intertie.api.limits import JSON_BYTES_MAX
from tests.api.network import SPEC, Network, Party


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("asker")


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the body of an answer that must be a problem with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"] == f"/problems/{found['code']}"
    assert found["title"]
    return found


@pytest.mark.parametrize(
    ("known", "field", "hint"),
    [
        ({"resources": {"memory": "much"}}, "spec.resources.memory", "512MiB"),
        ({"resources": {"cpus": 0}}, "spec.resources.cpus", "0"),
        ({"budget": "-1"}, "spec.budget", "negative"),
        ({"budget": "nan"}, "spec.budget", "2.50"),
        ({"time_limit": "soon"}, "spec.time_limit", "10m"),
        ({"deadline": "2026-01-01"}, "spec.deadline", "time zone"),
        ({"command": "echo"}, "spec.command", "list"),
        ({"cmd": ["x"]}, "spec.cmd", "no such field"),
        ({"resources": {"cpu": 1}}, "spec.resources.cpu", "no such field"),
        ({"array": {"count": 0}}, "spec.array.count", "1"),
        ({"results": ["../x"]}, "spec.results", ".."),
        ({"after": ["task-1"]}, "spec.after.0", "job-"),
        ({"workdir": "../here"}, "spec.workdir", ""),
        ({"expected": "99999999999999999d"}, "spec.expected", "large"),
        ({"requires": ["magic"]}, "spec.requires.0", "sandbox"),
        ({"prefer": "best"}, "spec.prefer", "cheapest"),
    ],
)
def test_a_wrong_field_is_named_with_its_fix(
    known: dict[str, Any], field: str, hint: str, project: Party
) -> None:
    for path in ("/jobs", "/quotes"):
        found = problem(project.http.post(path, json={"spec": SPEC | known}), 422)
        assert found["code"] == "bad_spec"
        errors = {each["field"]: each["message"] for each in found["errors"]}
        assert any(name.startswith(field) for name in errors), errors
        assert any(hint in message for message in errors.values()), errors
    assert project.get("/jobs")["items"] == []


def test_a_body_that_is_no_json_says_so(project: Party) -> None:
    headers = {"Content-Type": "application/json"}
    found = problem(project.http.post("/jobs", content=b'{"spec": ', headers=headers), 422)
    assert found["code"] == "bad_json"
    assert found["errors"][0]["field"] == "body"
    problem(project.http.post("/jobs", content=b"\xff\xfe", headers=headers), 422)
    problem(project.http.post("/jobs", content=b"spec: yaml"), 422)
    problem(project.http.post("/jobs"), 422)
    lone = json.dumps({"spec": SPEC | {"environment": {"A": "\ud800"}}}).encode()
    problem(project.http.post("/jobs", content=lone, headers=headers), 422)
    nul = SPEC | {"environment": {"A": "\0"}}
    problem(project.http.post("/jobs", json={"spec": nul}), 422)


def test_a_body_may_not_be_larger_than_its_route_takes(project: Party) -> None:
    large = b" " * (JSON_BYTES_MAX + 1)
    declared = problem(project.http.post("/projects", content=large), 413)
    counted = problem(project.http.post("/projects", content=iter([large[:100], large])), 413)
    assert "1 MiB" in declared["detail"]
    assert counted["code"] == "too_large"


def test_a_grid_that_would_fill_the_memory_is_refused_by_its_count(project: Party) -> None:
    grid = {f"N{i}": list(range(100)) for i in range(12)}
    found = problem(
        project.http.post("/jobs", json={"spec": SPEC | {"array": {"grid": grid}}}), 422
    )
    assert found["refusal"]["code"] == "too_many_tasks"
    assert found["refusal"]["relaxation"]["code"] == "fewer_tasks"


def test_an_unknown_address_and_a_wrong_method_are_problems(
    network: Network, project: Party
) -> None:
    assert problem(project.http.get("/nothing"), 404)["code"] == "not_found"
    wrong = project.http.delete("/jobs")
    assert problem(wrong, 405)["code"] == "method_not_allowed"
    assert wrong.headers["allow"] == "GET, POST"


def test_without_a_token_the_answer_says_how_to_send_one(network: Network) -> None:
    with network.client() as nobody:
        missing = nobody.get("/me")
        assert nobody.get("/health").json()["is_ready"]
    with network.client("itk_project_guess") as guess:
        unknown = guess.get("/me")
    assert problem(missing, 401)["code"] == "no_token"
    assert problem(unknown, 401)["code"] == "bad_token"
    assert missing.headers["www-authenticate"].startswith("Bearer")
    assert "invalid_token" in unknown.headers["www-authenticate"]


def test_an_id_that_is_none_says_how_one_looks(project: Party) -> None:
    assert problem(project.http.get("/jobs/seven"), 404)["code"] == "bad_id"
    found = problem(project.http.post("/jobs", json={"spec": SPEC, "quote": "seven"}), 422)
    assert found["errors"][0]["field"] == "quote"


@pytest.mark.parametrize("limit", [0, 501, "many"])
def test_a_page_has_between_one_and_five_hundred_items(limit: object, project: Party) -> None:
    found = problem(project.http.get("/jobs", params={"limit": str(limit)}), 422)
    assert found["errors"][0]["field"] == "limit"


def test_a_refusal_comes_with_its_change_in_the_askers_language(
    network: Network, project: Party
) -> None:
    network.pool("small")
    spec = SPEC | {"resources": {"cpus": 64}}
    found = problem(project.http.post("/jobs", json={"spec": spec}), 422)
    chinese = project.http.post(
        "/jobs", json={"spec": spec}, headers={"Accept-Language": "zh-CN,en;q=0.5"}
    )
    english, refusal = found["refusal"], problem(chinese, 422)["refusal"]
    assert english["code"] == refusal["code"] == "not_enough_cpus"
    assert english["relaxation"]["code"] == "fewer_cpus"
    assert "cpus" in english["relaxation"]["text"]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in refusal["text"])
    assert chinese.headers["content-language"] == "zh-CN"
    kept = project.get("/refusals?limit=1")
    assert kept["items"][0]["refusal"]["code"] == "not_enough_cpus"
    assert kept["items"][0]["name"] == "hello"
    rest = project.get(f"/refusals?limit=1&after={kept['next']}")
    assert rest["items"][0]["at"] <= kept["items"][0]["at"]
    assert project.get("/jobs")["items"] == []


def test_what_nobody_foresaw_is_a_problem_without_internals(
    network: Network, project: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("intertie.api.network.offer_views", fail)
    answer = project.http.get("/offers")
    assert problem(answer, 500)["code"] == "internal"
    assert "secret" not in answer.text


def test_a_database_that_is_away_is_a_reason_to_come_again(
    network: Network, project: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise DBAPIError("select", {}, RuntimeError("gone"), connection_invalidated=True)

    monkeypatch.setattr("intertie.api.jobs.job_views", away)
    answer = project.http.get("/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
