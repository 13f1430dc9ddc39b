"""How an agent keeps what is wanted by deltas, carries many attempts, and writes once for all."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from intertie.agent.book import Book
from intertie.agent.carriers import Carriers
from intertie.agent.journal import Journal
from intertie.agent.wanted import WantedSet
from intertie.model.states import Cause
from intertie.wire.digest import digest_text, lease_mark
from intertie.wire.sync import ExplicitStop, SyncAnswer, WantedLease
from tests.agent.agents import AgentProcess
from tests.agent.network import Network
from tests.engines.hosting import a_body

PATIENCE_S = 30.0


def an_answer(number: int, *leases: int, digest: int | None = None, **known: Any) -> SyncAnswer:
    """An answer as of a round that wants these leases, each until 100."""
    total = sum(lease_mark(n, 1, 100) for n in leases) if digest is None else digest
    usual: dict[str, Any] = {
        "incarnation": 1,
        "epoch": 1,
        "sequence": 1,
        "round": number,
        "wanted_digest": digest_text(total),
        "leases": [WantedLease(lease=f"lease-{n:04d}", token=1, until=100) for n in leases],
        "renew_for_s": 20,
        "next_poll_ms": 1000,
    }
    return SyncAnswer(**(usual | known))


def test_deltas_add_up_to_what_is_wanted() -> None:
    wanted = WantedSet()
    assert wanted.take_in(an_answer(3, 1, 2, is_full=True))
    stop = ExplicitStop(lease="lease-0002", token=1, cause="reclaimed", grace_s=5)
    stopping = lease_mark(1, 1, 100) + lease_mark(2, 1, -Cause.RECLAIMED)
    assert wanted.take_in(an_answer(4, digest=stopping, stops=[stop]))
    assert wanted.heard_round == 4
    ended = an_answer(6, 3, forget=["lease-0001"], gone=["lease-0002"])
    assert wanted.take_in(ended)
    assert (wanted.heard_round, wanted.digest) == (6, ended.wanted_digest)


def test_a_digest_that_differs_asks_for_everything_once() -> None:
    wanted = WantedSet()
    wanted.take_in(an_answer(3, 1, is_full=True))
    wanted.take_in(an_answer(4, 2))  # of another network than the one that wants lease 1 too
    assert (wanted.heard_round, wanted.digest) == (0, "")
    assert not wanted.take_in(an_answer(5, 2))
    wanted.take_in(an_answer(6, 2, is_full=True, digest=12345))
    assert wanted.heard_round == 6


def test_an_older_answer_changes_nothing() -> None:
    wanted = WantedSet()
    wanted.take_in(an_answer(3, 1, is_full=True))
    wanted.take_in(
        an_answer(
            9,
            digest=lease_mark(1, 1, 100) + lease_mark(2, 1, 100),
            leases=[WantedLease(lease="lease-0002", token=1, until=100)],
        )
    )
    assert not wanted.take_in(an_answer(8, forget=["lease-0001"]))
    assert not wanted.take_in(an_answer(4, is_full=True))
    assert wanted.heard_round == 9


def test_another_incarnation_is_believed_only_as_a_whole() -> None:
    wanted = WantedSet()
    wanted.take_in(an_answer(90, 1, is_full=True))
    assert not wanted.take_in(an_answer(91, 2, incarnation=2))
    assert wanted.heard_round == 0
    assert wanted.take_in(an_answer(41, 2, incarnation=2, is_full=True))
    assert (wanted.heard_round, wanted.incarnation) == (41, 2)


def test_what_is_written_together_is_synced_once_and_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    sync = os.fsync

    def counted(file: int) -> None:
        syncs.append(file)
        sync(file)

    monkeypatch.setattr(os, "fsync", counted)
    book = Book(Journal(tmp_path / "j"))
    with book.together():
        for number in range(100):
            book.take(f"lease-{number:04d}", 1, 5, a_body("true"))
        assert Journal(tmp_path / "j").read() == []
    assert len(syncs) == 1
    assert len(Journal(tmp_path / "j").read()) == 100
    book.journal.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_thousand_attempts_need_few_threads_and_all_are_carried() -> None:
    carriers, done = Carriers(threads_max=4), []

    def steps(number: int) -> Iterator[float]:
        yield 0.01
        yield 0.01
        done.append(number)

    before = threading.active_count()
    for number in range(1_000):
        carriers.carry(number, steps(number))
    assert threading.active_count() <= before + 4
    wait_until(lambda: len(carriers) == 0)
    assert sorted(done) == list(range(1_000))


def test_one_that_blocks_and_one_that_breaks_keep_nobody_waiting() -> None:
    carriers, done, go_on = Carriers(threads_max=2), [], threading.Event()
    told: list[object] = []
    threading.excepthook, hook = told.append, threading.excepthook

    def blocks() -> Iterator[float]:
        go_on.wait(PATIENCE_S)
        yield 0.0

    def breaks() -> Iterator[float]:
        yield 0.0
        raise RuntimeError("broken")

    def steps(number: int) -> Iterator[float]:
        yield 0.001
        done.append(number)

    try:
        carriers.carry("blocks", blocks())
        for number in range(5):
            carriers.carry(f"breaks {number}", breaks())
            carriers.carry(number, steps(number))
        wait_until(lambda: len(done) == 5 and len(told) == 5)
        go_on.set()
        wait_until(lambda: len(carriers) == 0)
    finally:
        threading.excepthook = hook


def test_who_is_hurried_does_not_wait_out_a_pause() -> None:
    carriers, done = Carriers(threads_max=1), []

    def steps() -> Iterator[float]:
        yield 10 * PATIENCE_S
        done.append(1)

    carriers.carry("long", steps())
    wait_until(lambda: bool(carriers._due) and carriers._due[0][0] > 0)
    carriers.hurry(["long"])
    wait_until(lambda: done == [1])


def test_an_agent_works_with_a_network_of_the_protocol_before(
    network: Network, make_agent: Callable[..., AgentProcess]
) -> None:
    network.protocol = 1
    make_agent(projects=["lab"])
    network.want("lease-0001", a_body(script="echo hello; sleep 0.3"))
    network.want("lease-0002", a_body("true", project="another"))
    assert network.until_state("lease-0001", "ended").exit_code == 0
    network.until(lambda: network.declined, "one is declined")
    network.unmention()
    network.drop("lease-0001")
    network.until(lambda: not network.syncs[-1].known, "it is known no more")
    assert not network.syncs[-1].declines
    assert all(each.protocol == 1 and not each.heard_round for each in network.syncs)


def test_an_agent_says_only_what_changed_and_asks_for_a_body_that_it_lacks(
    network: Network, make_agent: Callable[..., AgentProcess]
) -> None:
    agent = make_agent()
    network.want("lease-0001", a_body("sleep", "60"))
    network.until_state("lease-0001", "running")
    network.want("lease-0002", a_body("sleep", "60"))
    network.until_state("lease-0002", "running")
    network.until(lambda: not network.syncs[-1].leases, "nothing to say")
    assert {each.protocol for each in network.syncs} == {2}
    assert not any(each.known for each in network.syncs)
    agent.kill()
    (agent.folder / "journal.jsonl").unlink()
    with network.changed:
        before = len(network.syncs)
    agent.start()

    def asked() -> set[str]:
        return {name for each in network.syncs[before:] for name in each.lacks}

    network.until(lambda: asked() == {"lease-0001", "lease-0002"}, "both are asked for")
    network.stop("lease-0001")
    assert network.until_state("lease-0001", "ended").cause == "cancelled"
