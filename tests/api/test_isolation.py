"""One project cannot see or touch another's jobs, quotes, logs, files or wallet."""

from hashlib import sha256
from typing import Any

import pytest

from tests.api.network import SPEC, Agent, Network, Party, wait_until


@pytest.fixture(scope="module")
def owner(network: Network) -> Party:
    return network.project("owner")


@pytest.fixture(scope="module")
def stranger(network: Network) -> Party:
    return network.project("stranger")


@pytest.fixture(scope="module")
def lab(network: Network) -> Agent:
    return network.pool("lab")


@pytest.fixture(scope="module")
def done(owner: Party, lab: Agent) -> dict[str, Any]:
    """A settled job of the owner's with a log and a file."""
    job = owner.submit()
    [lease] = lab.take()
    lab.run(lease)
    assert lab.put_log(lease, 0, b"secret\n").status_code == 204
    content = b"result"
    sha = sha256(content).hexdigest()
    with lab.attempt(lease) as http:
        assert http.put(f"/blobs/{sha}", content=content).status_code == 201
    file = {"path": "out/r.txt", "sha256": sha, "size_bytes": len(content)}
    lab.end(lease, files=[file])
    wait_until(lambda: owner.get(f"/jobs/{job['id']}")["state"] == "settled")
    return {"job": job["id"], "sha": sha, "lease": lease}


def test_the_owner_sees_what_it_owns(owner: Party, done: dict[str, Any]) -> None:
    job = f"/jobs/{done['job']}"
    assert owner.http.get(f"{job}/tasks/0/logs").text == "secret\n"
    file = owner.http.get(f"{job}/files/0/out/r.txt")
    assert (file.text, file.headers["content-type"]) == ("result", "text/plain; charset=utf-8")
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert owner.get(f"{job}/files")["items"][0]["path"] == "out/r.txt"


@pytest.mark.parametrize(
    "path",
    ["", "/tasks", "/why", "/files", "/files/0/out/r.txt", "/tasks/0/logs", "/events", "/receipt"],
)
def test_a_stranger_cannot_tell_anothers_job_from_none(
    path: str, stranger: Party, done: dict[str, Any]
) -> None:
    theirs = stranger.http.get(f"/jobs/{done['job']}{path}")
    nobodys = stranger.http.get(f"/jobs/job-zzzz{path}")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["code"] == nobodys.json()["code"] == "not_found"
    assert theirs.text.replace(done["job"], "job-zzzz") == nobodys.text


def test_a_stranger_cannot_cancel_anothers_job(owner: Party, stranger: Party, lab: Agent) -> None:
    job = owner.submit(name="kept")
    [lease] = lab.take()
    answer = stranger.http.post(f"/jobs/{job['id']}/cancel")
    lab.run(lease)
    lab.end(lease)
    assert answer.status_code == 404
    wait_until(lambda: owner.get(f"/jobs/{job['id']}")["state"] == "settled")
    assert owner.get(f"/jobs/{job['id']}")["outcome"] == "done"


def test_lists_hold_only_what_is_ones_own(
    owner: Party, stranger: Party, done: dict[str, Any]
) -> None:
    assert done["job"] in [each["id"] for each in owner.get("/jobs")["items"]]
    assert stranger.get("/jobs")["items"] == []
    assert stranger.get("/quotes")["items"] == []
    assert [each["id"] for each in stranger.get("/projects")["items"]] == [stranger.id]
    assert {each["owner"] for each in stranger.get("/ledger/accounts")["items"]} == {"stranger"}
    kinds = {each["kind"] for each in stranger.get("/ledger/transactions")["items"]}
    assert kinds == {"trial"}


def test_a_stranger_sees_neither_wallet_nor_quote(
    owner: Party, stranger: Party, lab: Agent
) -> None:
    lab.sync()
    quote = owner.http.post("/quotes", json={"spec": SPEC}).json()
    taken = stranger.http.post("/jobs", json={"spec": SPEC, "quote": quote["id"]})
    assert stranger.http.get(f"/quotes/{quote['id']}").status_code == 404
    assert stranger.http.get(f"/projects/{owner.id}").status_code == 404
    assert (taken.status_code, taken.json()["refusal"]["code"]) == (422, "quote_unknown")


def test_a_blob_belongs_to_who_has_shown_its_content(
    owner: Party, stranger: Party, done: dict[str, Any]
) -> None:
    blob = f"/blobs/{done['sha']}"
    before = stranger.http.head(blob).status_code, stranger.http.get(blob).status_code
    bluff = stranger.http.put(blob, content=b"no idea")
    after = stranger.http.get(blob).status_code
    shown = stranger.http.put(blob, content=b"result")
    assert owner.http.head(blob).status_code == 200
    assert before == (404, 404)
    assert (bluff.status_code, bluff.json()["code"]) == (422, "hash_mismatch")
    assert after == 404
    assert (shown.status_code, stranger.http.get(blob).content) == (201, b"result")


def test_a_workdir_must_be_the_projects_own(stranger: Party, owner: Party) -> None:
    content = b"workdir"
    sha = sha256(content).hexdigest()
    assert owner.http.put(f"/blobs/{sha}", content=content).status_code == 201
    answer = stranger.http.post("/jobs", json={"spec": SPEC | {"workdir": sha}})
    assert answer.status_code == 422
    assert answer.json()["refusal"]["code"] == "blob_missing"
    assert stranger.get("/jobs")["items"] == []


def test_an_attempts_token_is_for_its_own_log_and_inputs(
    network: Network, lab: Agent, owner: Party, done: dict[str, Any]
) -> None:
    job = owner.submit(name="other")
    [lease] = lab.take()
    path = f"/agents/{lab.id}/attempts/{done['lease']['lease']}/logs?offset=7"
    with lab.attempt(lease) as http:
        other = http.put(path, content=b"x")
        unnamed = http.get(f"/blobs/{done['sha']}")
        elsewhere = http.get("/jobs")
    with network.client(forged_from(lease["body"]["attempt_token"])) as http:
        forged = http.get(f"/blobs/{done['sha']}")
    lab.run(lease)
    lab.end(lease)
    assert job["id"] == lease["body"]["job"]
    assert other.status_code == 403
    assert unnamed.status_code == 404
    assert (elsewhere.status_code, forged.status_code) == (401, 401)


def forged_from(token: str) -> str:
    """The same token with another last digit."""
    return token[:-1] + ("0" if token[-1] != "0" else "1")


def test_a_file_is_found_by_its_name_and_never_by_a_path(
    owner: Party, done: dict[str, Any]
) -> None:
    for path in ("../../../network.sqlite", "%2e%2e/%2e%2e/network.sqlite", "/etc/passwd"):
        answer = owner.http.get(f"/jobs/{done['job']}/files/0/{path}")
        assert answer.status_code == 404


def test_a_role_hears_which_role_is_needed(owner: Party, network: Network) -> None:
    answer = owner.http.post("/projects", json={"name": "mine"})
    with network.client(network.operator, **{"Accept-Language": "zh-CN"}) as operator:
        submitted = operator.post("/jobs", json={"spec": SPEC})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert "operator" in answer.json()["detail"]
    assert submitted.status_code == 403
    assert "project" in submitted.json()["detail"]


def test_the_operator_sees_every_project(
    network: Network, owner: Party, stranger: Party, done: dict[str, Any]
) -> None:
    with network.client(network.operator) as operator:
        projects = operator.get("/projects").json()["items"]
        job = operator.get(f"/jobs/{done['job']}")
    assert {owner.id, stranger.id} <= {each["id"] for each in projects}
    assert job.json()["project"] == "owner"
