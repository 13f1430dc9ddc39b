"""What a site says of itself over HTTP: devices, waits, starts, its own meter, and what it ran."""

from typing import Any

import pytest

from intertie.model.units import GIB
from tests.api.network import Agent, Network, Party, seen, wait_until

SOON = 2_000_000_000_000
IMAGE = "sha256:" + "a" * 64
NODES = [
    {
        "name": "main/a100",
        "cpus_milli": 8000,
        "memory_bytes": 32 * GIB,
        "disk_bytes": 64 * GIB,
        "device_class": "a100",
        "device_count": 8,
        "machine_count": 4,
    },
    {
        "name": "main/t4",
        "cpus_milli": 2000,
        "memory_bytes": 8 * GIB,
        "disk_bytes": 64 * GIB,
        "device_class": "t4",
        "device_count": 2,
    },
]
TERMS = {
    "price_micro_per_unit_h": 1_000_000,
    "grace_s": 5,
    "lent_cpus_milli": 10_000,
    "lent_memory_bytes": 40 * GIB,
}
OWNER = {"lent_cpus_milli": 10_000, "lent_memory_bytes": 40 * GIB, "lent_device_count": 9}
WAITS = {"main/a100": 600, "main/t4": 0}
A100: dict[str, Any] = {"cpus": 1, "memory": "1GiB", "devices": {"class": "a100", "count": 1}}


@pytest.fixture(scope="module")
def centre(network: Network) -> Agent:
    agent = network.pool(
        "centre", engine="slurm", nodes=NODES, terms=TERMS, abilities=["sessions", "containers"]
    )
    said = agent.sync(owner=OWNER | {"waits_s": WAITS})
    assert said.status_code == 200, said.text
    return agent


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("chemistry")


def the_attempt(project: Party, job: dict[str, Any]) -> dict[str, Any]:
    [task] = project.get(f"/jobs/{job['id']}/tasks")["items"]
    found: dict[str, Any] = task["attempts"][-1]
    return found


def test_a_quote_shows_the_wait_for_the_class_that_is_asked_for(
    centre: Agent, project: Party
) -> None:
    waits = {}
    for device_class in ("a100", "t4"):
        spec = {
            "command": ["true"],
            "providers": ["centre"],
            "expected": 10,
            "resources": A100 | {"devices": {"class": device_class}},
        }
        answer = project.http.post("/quotes", json={"spec": spec})
        assert answer.status_code == 201, answer.text
        [option] = answer.json()["options"]
        [pool] = option["pools"]
        waits[device_class] = (pool["expected_wait_s"], option["starts_in_s"])
    assert waits == {"a100": (600, 600), "t4": (0, 0)}


def test_an_offer_shows_its_devices_and_what_is_lent_of_them(centre: Agent, project: Party) -> None:
    [offer] = [each for each in project.get("/offers")["items"] if each["pool"] == "centre"]
    assert offer["devices"] == {"a100": 8, "t4": 2}
    assert offer["device_class"] == "a100, t4"
    assert (offer["units_total"], offer["units_free"], offer["expected_wait_s"]) == (9, 9, 0)


def test_a_job_shows_where_and_when_its_site_runs_it_and_its_receipt_has_three_meters(
    centre: Agent, project: Party
) -> None:
    image = f"registry.example/work@{IMAGE}"
    job = project.submit(providers=["centre"], resources=A100, software={"image": image})
    [lease] = centre.take()
    body = lease["body"]
    assert (body["kind"], body["image"], body["software"]) == ("batch", image, "")
    assert (body["node"], body["device_class"], body["device_count"]) == ("main/a100", "a100", 1)
    told = {"expected_start_at": SOON}
    centre.sync(seen(lease, "pending", **told), owner=OWNER | {"waits_s": WAITS})
    wait_until(lambda: the_attempt(project, job)["expected_start_at"])
    why = project.get(f"/jobs/{job['id']}/why")
    assert why["nearest"]["code"] == "waits_at_site"
    centre.sync(seen(lease, "running", node="node17", image=IMAGE), owner=OWNER)
    wait_until(lambda: the_attempt(project, job)["state"] == "running")
    running = the_attempt(project, job)
    assert (running["node"], running["site_node"]) == ("main/a100", "node17")
    assert running["expected_start_at"] is None
    centre.end(lease, ran_ms=5, site_ms=3, node="node17", image=IMAGE)
    wait_until(lambda: project.get(f"/jobs/{job['id']}")["state"] == "settled")
    receipt = project.get(f"/jobs/{job['id']}/receipt")
    [line] = receipt["lines"]
    assert (line["agent_s"], line["site_s"], line["paid_s"]) == (0.005, 0.003, 0.003)
    assert (line["has_independent_meter"], line["site_node"]) == (True, "node17")
    assert line["image"] == the_attempt(project, job)["image"] == IMAGE
    assert receipt["sum_micro"] == 0
    assert project.get("/ledger/check")["ok"]


def test_processes_that_are_gone_leave_their_cores_to_the_next_while_files_are_on_their_way(
    network: Network, project: Party
) -> None:
    quick = network.pool("quick")
    whole = {"providers": ["quick"], "resources": {"cpus": 2}}
    first, second = project.submit(**whole), project.submit(**whole)
    [lease] = quick.take()
    quick.sync(seen(lease, "running"))
    wait_until(lambda: the_attempt(project, first)["state"] == "running")
    [task] = project.get(f"/jobs/{second['id']}/tasks")["items"]
    assert task["attempts"] == []
    quick.sync(seen(lease, "finishing", cause="exited", exit_code=0, ran_ms=1))
    [following] = quick.take()
    assert following["body"]["job"] == second["id"]
    assert project.get(f"/jobs/{first['id']}")["state"] == "running"
    for each in (lease, following):
        quick.end(each, ran_ms=1, site_ms=1)
    for job in (first, second):
        wait_until(lambda job=job: project.get(f"/jobs/{job['id']}")["state"] == "settled")


def test_a_session_is_one_task_on_a_pool_that_offers_sessions(
    centre: Agent, project: Party
) -> None:
    job = project.submit(providers=["centre"], kind="session")
    [lease] = centre.take()
    assert (lease["body"]["kind"], job["kind"]) == ("session", "session")
    centre.end(lease)
    two = {"command": ["true"], "kind": "session", "array": {"count": 2}}
    answer = project.http.post("/jobs", json={"spec": two})
    assert answer.status_code == 422
