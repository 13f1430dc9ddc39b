"""Webhooks on a real network, with receivers that fail, hang, redirect, leave and come back."""

import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie, Unreachable
from intertie.control.bootstrap import database_url, open_network
from intertie.control.courier import Courier, gives_up, wait_s
from intertie.control.delivering import LOCAL, Reach
from intertie.control.wake import Wake
from intertie.model.ids import decode
from intertie.store import reading, webhooks
from tests.api.network import SPEC, Network, Party, running_network, wait_until
from tests.support.receivers import TAKEN, Answer, receiving, served_as

LOCALLY = Reach(is_local=True, timeout_s=5.0, total_s=5.0)
HASTY = Reach(is_local=True, timeout_s=0.3, total_s=0.3)
DYING = """
import os, sys, threading
from pathlib import Path
from intertie.control.courier import Courier
from intertie.control.delivering import Reach
from intertie.control.wake import Wake
from intertie.store import webhooks
from intertie.store.database import open_database

url, data, count = sys.argv[1:]
real, writes = webhooks.move_on, [0]

def move_on(engine, number, cursor):
    writes[0] += 1
    if writes[0] == int(count):
        os._exit(9)
    real(engine, number, cursor)

webhooks.move_on = move_on
engine = open_database(url)
courier = Courier(engine, Wake(Path(data), "dying", engine), Reach(is_local=True))
courier.run(threading.Event())
"""
PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str
) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("webhooks")
    with running_network(folder, database=module_database_url) as network:
        fill_a_pool(network)
        yield network


def fill_a_pool(network: Network) -> None:
    """Give all there is to another project: what the others submit is taken, and waits."""
    network.pool("lab")
    filler = network.project("filler")
    job = filler.submit(resources={"cpus": 2}, time_limit="1h")["id"]
    wait_until(lambda: "placed" in filler.get(f"/jobs/{job}")["tasks_by_state"])


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCAL, "1")


@pytest.fixture
def project(network: Network, request: pytest.FixtureRequest, local: None) -> Party:
    """A project with one job that waits for as long as the tests do."""
    project = network.project(re.sub(r"\W+", "-", request.node.name)[:90])
    project.submit(time_limit="1h")
    return project


@contextmanager
def courier(network: Network, reach: Reach = LOCALLY, **known: Any) -> Iterator[Courier]:
    """Deliver while the block lasts, as beside a decider that leads."""
    wake = Wake(network.data, "courier", network.engine)
    try:
        carrier = Courier(network.engine, wake, reach, **known)
        with carrier.working():
            yield carrier
    finally:
        wake.close()


def add(party: Party, url: str, *codes: str) -> dict[str, Any]:
    answer = party.http.post("/webhooks", json={"url": url, "codes": list(codes)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def make_events(party: Party) -> list[dict[str, Any]]:
    """Have something happen to a job that nothing else will happen to; return all that has."""
    [blocker, *_] = party.get("/jobs?limit=500")["items"][::-1]
    job = party.submit(after=[blocker["id"]])["id"]
    assert party.http.post(f"/jobs/{job}/cancel").status_code == 201
    wait_until(lambda: party.get(f"/jobs/{job}")["state"] == "settled")
    return [each for each in events_of(party) if each["job"] != blocker["id"]]


def events_of(party: Party) -> list[dict[str, Any]]:
    return list(party.get("/events?limit=500")["items"])


def seen(party: Party, webhook: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in party.get("/webhooks")["items"] if each["id"] == webhook["id"])


def cursor_of(network: Network, party: Party) -> int:
    number = decode("project", party.id)
    with reading.snapshot(network.engine) as connection:
        return webhooks.of_project(connection, number, 0, 1)[0].cursor


def documented_check() -> Callable[..., dict[str, Any]]:
    """Return the check that the manual tells receivers to make."""
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, PAGE.name, "exec"), names)
    return names["verified"]


def test_every_event_comes_once_in_order_and_signed_as_the_manual_checks_it(
    network: Network, project: Party
) -> None:
    verified = documented_check()
    with receiving() as receiver, courier(network):
        made = add(project, receiver.url)
        happened = make_events(project)
        wait_until(lambda: len(receiver.received) >= len(happened))
    assert receiver.numbers() == [each["number"] for each in happened]
    for each, told in zip(happened, receiver.received, strict=True):
        event = verified(made["secret"], told.headers, told.body)
        assert (event["code"], event["job"]) == (each["code"], each["job"])
        assert (event["values"], event["at"]) == (each["values"], each["at"])
        assert told.headers["webhook-id"] == event["id"]
        with pytest.raises(ValueError, match="signature"):
            verified(made["secret"], told.headers, told.body + b" ")


def test_only_the_events_that_were_asked_for_come_and_only_the_projects_own(
    network: Network, project: Party
) -> None:
    other = network.project(f"other-{project.id}")
    other.submit(time_limit="1h")
    with receiving() as receiver, courier(network):
        add(project, receiver.url, "cancel_asked")
        make_events(other)
        happened = make_events(project)
        wait_until(lambda: receiver.received)
        wanted = [each["number"] for each in happened if each["code"] == "cancel_asked"]
    assert receiver.numbers() == wanted


def test_an_event_that_fails_comes_again_before_those_after_it(
    network: Network, project: Party
) -> None:
    failed: Answer = (500, {}, b"not today " * 100)
    with receiving(failed, failed) as receiver, courier(network):
        made = add(project, receiver.url)
        happened = make_events(project)
        wait_until(lambda: seen(project, made)["failures"] == 2)
        told = seen(project, made)
        assert told["state"] == "failing"
        assert told["last_error"].startswith("HTTP 500 not today")
        assert len(told["last_error"]) == 200
        assert told["next_try_at"] > 0
        wait_until(lambda: len(receiver.received) == len(happened) + 2)
        wait_until(lambda: seen(project, made)["state"] == "active")
    ids, numbers = receiver.ids(), receiver.numbers()
    assert ids[0] == ids[1] == ids[2]
    assert numbers[2:] == [each["number"] for each in happened]


def test_a_receiver_that_hangs_holds_up_nobody_else(network: Network, project: Party) -> None:
    never = threading.Event()
    with receiving(*[never] * 20) as hanging, receiving() as prompt, courier(network, HASTY):
        stuck, quick = add(project, hanging.url), add(project, prompt.url)
        happened = make_events(project)
        wait_until(lambda: len(prompt.received) == len(happened))
        wait_until(lambda: seen(project, stuck)["failures"] > 0)
        assert seen(project, quick)["state"] == "active"
        assert (
            "Timeout" in seen(project, stuck)["last_error"]
            or "0 s" in seen(project, stuck)["last_error"]
        )
        never.set()


def test_a_receiver_that_was_away_hears_everything_when_it_is_back(
    network: Network, project: Party
) -> None:
    with receiving() as before:
        port = int(before.url.split(":")[2].split("/")[0])
    with courier(network):
        made = add(project, before.url)
        happened = make_events(project)
        wait_until(lambda: seen(project, made)["failures"] > 0)
        with receiving(port=port) as receiver:
            wait_until(lambda: len(receiver.received) == len(happened))
    assert receiver.numbers() == [each["number"] for each in happened]


def test_what_was_delivered_but_not_noted_comes_again_with_the_same_id(
    network: Network, project: Party
) -> None:
    """A courier's process ends at its first cursor write, in place of that write."""
    url = network.engine.url.render_as_string(hide_password=False)
    with receiving() as receiver:
        add(project, receiver.url)
        noted = [each["number"] for each in make_events(project)]
        with courier(network):
            wait_until(lambda: cursor_of(network, project) >= noted[-1])
        numbers = [each["number"] for each in make_events(project)]
        dying = subprocess.run(
            [sys.executable, "-c", DYING, url, str(network.data), "1"], timeout=60, check=False
        )
        assert dying.returncode == 9
        assert receiver.numbers() == numbers
        with courier(network):
            wait_until(lambda: cursor_of(network, project) >= numbers[-1])
    assert receiver.numbers() == numbers + numbers[len(noted) :]
    same = {each.event["id"]: each.body for each in receiver.received}
    assert all(each.body == same[each.event["id"]] for each in receiver.received)
    assert len(same) == len(numbers)


def test_a_cursor_that_cannot_be_written_repeats_nothing_while_the_courier_lives(
    network: Network, project: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intertie.control.courier.REST_S", 0.1)
    broken = threading.Event()

    def failing(*_: Any) -> None:
        broken.set()
        raise OSError("the disk is full")

    with receiving() as receiver, courier(network):
        with monkeypatch.context() as patched:
            patched.setattr(webhooks, "move_on", failing)
            add(project, receiver.url)
            happened = make_events(project)
            wait_until(broken.is_set)
        happened = make_events(project)
        wait_until(lambda: cursor_of(network, project) >= happened[-1]["number"])
    assert receiver.numbers() == [each["number"] for each in happened]


def test_a_receiver_that_is_gone_for_ever_is_told_nothing_more(
    network: Network, project: Party
) -> None:
    with receiving((410, {}, b"")) as receiver, courier(network):
        made = add(project, receiver.url)
        make_events(project)
        wait_until(lambda: seen(project, made)["state"] == "ended")
        make_events(project)
        other = add(project, receiver.url)
        happened = make_events(project)
        wait_until(lambda: happened[-1]["number"] in receiver.numbers())
    assert seen(project, made)["last_error"].startswith("HTTP 410")
    assert seen(project, other)["state"] == "active"
    assert receiver.numbers()[1] > max(n for n in receiver.numbers()[:1])


def test_after_three_days_without_success_it_is_given_up_with_the_reason(
    network: Network, project: Party
) -> None:
    tries = next(n for n in range(1, 1_000) if gives_up(n))
    assert sum(wait_s(n) for n in range(1, tries)) <= 3 * 86_400
    with receiving((503, {}, b"closed")) as receiver, courier(network):
        made = add(project, receiver.url)
        number = decode("webhook", made["id"])
        webhooks.note_failure(network.engine, number, "before", tries - 1, 0)
        make_events(project)
        wait_until(lambda: seen(project, made)["state"] == "ended")
    assert seen(project, made)["last_error"] == "HTTP 503 closed"
    assert seen(project, made)["failures"] == tries


def test_waits_double_up_to_an_hour_without_chance() -> None:
    assert [wait_s(n) for n in (1, 2, 3, 12, 13, 80)] == [1, 2, 4, 2_048, 3_600, 3_600]


def test_a_redirect_is_an_answer_and_is_not_followed(network: Network, project: Party) -> None:
    with receiving() as inside:
        moved: Answer = (302, {"Location": inside.url}, b"")
        with receiving(*[moved] * 50) as receiver, courier(network):
            made = add(project, receiver.url)
            make_events(project)
            wait_until(lambda: seen(project, made)["failures"] > 1)
    assert seen(project, made)["last_error"].startswith("HTTP 302")
    assert inside.received == []


def test_a_name_that_leads_inside_is_not_reached_unless_the_operator_allows_it(
    network: Network, project: Party
) -> None:
    with receiving() as receiver, courier(network, Reach()):
        made = add(project, receiver.url.replace("http://127.0.0.1", "https://localhost"))
        make_events(project)
        wait_until(lambda: seen(project, made)["failures"] > 0)
    assert "which is not a public address" in seen(project, made)["last_error"]
    assert receiver.received == []


def test_a_removed_webhook_is_told_nothing_more(network: Network, project: Party) -> None:
    with receiving() as receiver, receiving() as other, courier(network):
        removed = add(project, receiver.url)["id"]
        add(project, other.url)
        assert project.http.delete(f"/webhooks/{removed}").status_code == 200
        happened = make_events(project)
        wait_until(lambda: len(other.received) == len(happened))
    assert receiver.received == []


def test_a_ping_is_sent_at_once_and_its_answer_is_shown(network: Network, project: Party) -> None:
    verified = documented_check()
    with receiving(TAKEN, (404, {}, b"no such hook")) as receiver:
        made = add(project, receiver.url)
        found = [project.http.post(f"/webhooks/{made['id']}/test").json() for _ in range(2)]
    assert (found[0]["is_delivered"], found[0]["status"]) == (True, 200)
    assert (found[1]["is_delivered"], found[1]["error"]) == (False, "HTTP 404 no such hook")
    event = verified(made["secret"], receiver.received[0].headers, receiver.received[0].body)
    assert event["code"] == "ping"


def test_tls_is_checked_by_name_although_the_connection_goes_to_a_checked_address(
    network: Network, project: Party, tmp_path: Path
) -> None:
    right, wrong = (served_as(name, tmp_path) for name in ("localhost", "elsewhere.example"))
    trust = ssl.create_default_context()
    for name in ("localhost", "elsewhere.example"):
        trust.load_verify_locations(tmp_path / f"{name}.pem")
    reach = Reach(is_local=True, trust=trust)
    with (
        receiving(tls=right) as receiver,
        receiving(tls=wrong) as impostor,
        courier(network, reach),
    ):
        good, bad = (
            add(project, each.url.replace("http://127.0.0.1", "https://localhost"))
            for each in (receiver, impostor)
        )
        happened = make_events(project)
        wait_until(lambda: len(receiver.received) == len(happened))
        wait_until(lambda: seen(project, bad)["failures"] > 0)
    assert receiver.received[0].headers["host"].startswith("localhost:")
    assert seen(project, good)["state"] == "active"
    assert "mismatch" in seen(project, bad)["last_error"].lower()
    assert impostor.received == []


def test_the_processes_of_a_network_deliver_while_their_decider_leads(
    local: None, tmp_path: Path
) -> None:
    with EmbeddedNetwork(tmp_path / "network") as embedded, receiving() as receiver:
        engine = open_network(database_url(embedded.data))
        known = Network(embedded.url, embedded.tokens()["operator"], engine, embedded.data, list)
        fill_a_pool(known)
        embedded.keep_token("alpha", embedded.client().create_project("alpha", trial=10).token)
        client = embedded.client("alpha")
        blocker = client.submit(SPEC | {"time_limit": "1h"})
        client.create_webhook(receiver.url)

        def one_more() -> list[int]:
            job = client.submit(SPEC | {"after": [blocker.id]})
            client.cancel(job)
            client.wait(job)
            return [event.number for event in client.events(job)]

        numbers = one_more()
        wait_until(lambda: receiver.numbers() == numbers)
        decider = next(each for each in embedded.processes() if each.name == "decider")
        decider.kill()
        decider.start()
        wait_until(lambda: decides(client, blocker.id))
        numbers += one_more()
        wait_until(lambda: numbers[-1] in receiver.numbers())
        for http in known.clients:
            http.close()
        engine.dispose()
    assert sorted(set(receiver.numbers())) == numbers


def decides(client: Intertie, job: str) -> bool:
    """Return whether a round answers."""
    try:
        return bool(client.why(job))
    except Unreachable:
        return False
