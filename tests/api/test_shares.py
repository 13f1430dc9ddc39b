"""The share tree through a door: set by an operator, seen by everybody."""

from typing import Any

import httpx

from intertie.client import Intertie
from tests.api.network import Network


def stand(client: httpx.Client, name: str) -> dict[str, Any]:
    shares = client.get("/shares").json()["shares"]
    found: dict[str, Any] = next(share for share in shares if share["name"] == name)
    return found


def test_an_operator_sets_shares_and_a_project_sees_how_all_stand(network: Network) -> None:
    operator = Intertie(network.url, network.operator)
    lab = network.project("lab of six")
    outer = operator.create_cohort("faculty", weight=3, floor_ppm=100_000)
    inner = operator.create_cohort("physics", cohort=outer.id)
    quota = {"cpus": {"quota": "1.5", "borrow": 0}, "devices": {"a100": {"quota": 8, "lend": 2}}}
    set_now = operator.set_share("lab of six", weight=5, cohort=inner.id, quota=quota)
    seen = stand(network.client(lab.token), "lab of six")
    assert seen == set_now.model_dump(mode="json")
    assert (seen["weight"], seen["cohort"]) == (5, inner.id)
    by_resource = {each["resource"]: each for each in seen["resources"]}
    assert (by_resource["cpus"]["quota"], by_resource["cpus"]["borrow"]) == (1.5, 0)
    assert (by_resource["a100"]["quota"], by_resource["a100"]["lend"]) == (8, 2)
    assert by_resource["memory"]["quota"] is None
    assert stand(network.client(lab.token), "faculty")["floor"] == 0.1
    operator.set_share("lab of six", quota={})
    lifted = operator.set_share("lab of six", cohort="")
    assert (lifted.cohort, lifted.weight) == (None, 5)
    assert all(each.quota is None for each in lifted.resources)


def test_a_job_over_its_quota_is_told_so_and_starts_when_the_quota_is_raised(
    network: Network,
) -> None:
    operator = Intertie(network.url, network.operator)
    lab, agent = network.project("bounded lab"), network.pool("bounded")
    operator.set_share("bounded lab", quota={"cpus": {"quota": "0.5"}})
    job = lab.submit()
    nearest = lab.get(f"/jobs/{job['id']}/why")["nearest"]
    assert nearest["code"] == "over_quota_cpus"
    assert nearest["relaxation"]["values"] == {"to_milli": 1000}
    operator.set_share("bounded lab", quota={"cpus": {"quota": 1}})
    [lease] = agent.take()
    agent.run(lease)
    agent.end(lease, ran_ms=5)


def test_who_is_no_operator_sets_nothing_and_what_is_wrong_is_refused(network: Network) -> None:
    lab = network.project("curious lab")
    client, operator = network.client(lab.token), network.client(network.operator)
    assert client.post(f"/projects/{lab.id}/share", json={"weight": 9}).status_code == 403
    assert client.post("/cohorts", json={"name": "mine"}).status_code == 403
    assert operator.post("/cohorts/cohort-zzzz/share", json={"weight": 2}).status_code == 422
    asked = {"cohort": "cohort-zzzz"}
    answer = operator.post(f"/projects/{lab.id}/share", json=asked).json()
    assert answer["refusal"]["code"] == "cohort_unknown"
    too_much = {"quota": {"cpus": {"quota": -1}}}
    assert operator.post(f"/projects/{lab.id}/share", json=too_much).status_code == 422
