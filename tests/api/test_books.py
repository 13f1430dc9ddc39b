"""The books as doors show them: every posting, and the proof."""

from typing import Any

import pytest

from tests.api.network import Agent, Network, Party, wait_until


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("payer", trial="10")


@pytest.fixture(scope="module")
def lab(network: Network, project: Party) -> Agent:
    """A pool that has run one job of the project's, which has settled."""
    lab = network.pool("lab")
    job = project.submit()
    [lease] = lab.take()
    lab.run(lease)
    lab.end(lease, ran_ms=3)
    wait_until(lambda: project.get(f"/jobs/{job['id']}")["state"] == "settled")
    return lab


def everything(network: Network, path: str) -> list[dict[str, Any]]:
    """Return all items of a list as the operator reads it, one item a page."""
    found: list[dict[str, Any]] = []
    with network.client(network.operator) as operator:
        after: dict[str, Any] = {}
        while True:
            page = operator.get(path, params={"limit": 1} | after).json()
            found += page["items"]
            if page["next"] is None:
                return found
            after = {"after": page["next"]}


def test_balances_are_what_the_transactions_say(network: Network, lab: Agent) -> None:
    deltas: dict[str, int] = {}
    for booked in everything(network, "/ledger/transactions"):
        for posting in booked["postings"]:
            for account, sign in ((posting["source"], -1), (posting["destination"], 1)):
                deltas[account] = deltas.get(account, 0) + sign * posting["amount_micro"]
    accounts = everything(network, "/ledger/accounts")
    assert {each["id"]: each["balance_micro"] for each in accounts if each["balance_micro"]} == {
        account: delta for account, delta in deltas.items() if delta
    }
    assert sum(deltas.values()) == 0


def test_the_books_are_proved_for_anybody_who_asks(project: Party, lab: Agent) -> None:
    check = project.get("/ledger/check")
    assert check["ok"]
    assert check["faults"] == []
    assert (check["sum_micro"], check["open_holds_micro"]) == (0, 0)
    assert check["recomputed_charges"] > 0


def test_a_project_sees_the_transactions_of_its_own_accounts(project: Party, lab: Agent) -> None:
    own = {each["id"] for each in project.get("/ledger/accounts")["items"]}
    booked = project.get("/ledger/transactions")["items"]
    kinds = [each["kind"] for each in booked]
    assert kinds[0] == "trial"
    assert {"hold", "charge", "release"} <= set(kinds)
    assert all(
        own & {account for p in each["postings"] for account in (p["source"], p["destination"])}
        for each in booked
    )
    assert all(each["job"] for each in booked[1:])


def test_a_provider_sees_what_it_earned(network: Network, lab: Agent) -> None:
    provider = network.provider("idle")
    [account] = provider.get("/ledger/accounts")["items"]
    assert (account["kind"], account["owner"], account["balance_micro"]) == ("earnings", "idle", 0)
    with network.client(network.operator) as operator:
        views = operator.get("/providers").json()["items"]
    earned = {each["name"]: each["earned_micro"] for each in views}
    assert earned["lab"] > 0
    assert earned["idle"] == 0


def test_who_am_i_names_the_bearer(network: Network, project: Party) -> None:
    me = project.get("/me")
    assert (me["role"], me["id"], me["name"]) == ("project", project.id, "payer")
    with network.client(network.operator) as operator:
        assert operator.get("/me").json()["role"] == "operator"


def test_health_shows_the_deciders_last_round(network: Network, project: Party) -> None:
    health = project.get("/health")
    assert health["round"] > 0
    assert health["round_at"] > 0
    assert (health["network"], health["incarnation"]) == ("test", 1)
