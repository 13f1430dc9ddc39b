"""Real deciders on PostgreSQL: one is killed or paused in the middle of its work, another goes on.

While it happens rows keep coming. Afterwards every row is decided once, and a replay of all rounds
from the first decides the same.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from intertie.control.bootstrap import open_network
from intertie.control.wake import Wake
from intertie.simulator.recording import Recording, Round, replay
from intertie.store import tables
from intertie.store.appending import append, waited_many
from intertie.store.loading import load_policy, load_world, recorded_rounds
from tests.builders import NOW
from tests.support.databases import PostgresServer

PATIENCE_S = 60.0
DECIDE = """
import sys; from pathlib import Path; from intertie.cli.roles import Place, decide
decide(Place(Path(sys.argv[1]), sys.argv[2]))
"""


class Deciders:
    """Deciders of one network as processes, and somebody who keeps asking for providers."""

    def __init__(self, url: str, data: Path) -> None:
        self.url, self.data = url, data
        self.engine: Engine = open_network(url)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.asked: list[int] = []
        self._wake = Wake(data, "test", self.engine)
        self._ends = threading.Event()
        self._asker = threading.Thread(target=self._ask)

    def start(self) -> None:
        """Start another decider."""
        with (self.data / "decider.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", DECIDE, str(self.data), self.url],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes[process.pid] = process

    def begin_to_ask(self) -> None:
        """Append a row every few milliseconds until `close`."""
        self._asker.start()

    def leader(self) -> int:
        """Return the process id of whoever leads; 0 while nobody does."""
        with self.engine.connect().execution_options(is_read=True) as connection:
            row = connection.execute(select(tables.leadership)).mappings().one()
        return int(row["holder"].split("-")[-2]) if row["until_at"] else 0

    def decides(self) -> None:
        """Return when rows that are asked for from now on are taken."""
        had = len(self.asked)
        self.wait_until(lambda: len(self.asked) > had)
        number = self.asked[-1]
        self.wait_until(lambda: waited_many(self.engine, [number])[number].is_taken)

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Return once a condition holds; fail with the deciders' log when it never does."""
        ends = time.monotonic() + PATIENCE_S
        while not is_so():
            log = self.data / "decider.log"
            assert time.monotonic() < ends, log.read_text() if log.exists() else "no log"
            time.sleep(0.05)

    def stop_asking(self) -> None:
        """Ask no more, and return when everything that was asked is decided."""
        self._ends.set()
        self._asker.join()
        self.wait_until(self._is_all_taken)

    def close(self) -> None:
        """End every process."""
        self._ends.set()
        for process in self.processes.values():
            process.kill()
            process.wait()
        self._wake.close()
        self.engine.dispose()

    def _is_all_taken(self) -> bool:
        waiting = tables.inbox.c.taken_round.is_(None)
        with self.engine.connect().execution_options(is_read=True) as connection:
            count = select(func.count()).select_from(tables.inbox).where(waiting)
            return connection.execute(count).scalar_one() == 0

    def _ask(self) -> None:
        while not self._ends.wait(0.005):
            name = f"p{len(self.asked)}"
            self.asked.append(append(self.engine, "provider", 0, NOW, {"name": name}))
            self._wake.poke()


@pytest.fixture(name="deciders")
def _deciders(postgres_url: str, tmp_path: Path) -> Iterator[Deciders]:
    with two_deciders(postgres_url, tmp_path) as deciders:
        yield deciders


@contextmanager
def two_deciders(url: str, data: Path) -> Iterator[Deciders]:
    deciders = Deciders(url, data)
    try:
        deciders.start()
        deciders.start()
        deciders.begin_to_ask()
        deciders.decides()
        yield deciders
    finally:
        deciders.close()


def test_when_the_leader_is_killed_another_goes_on_and_nothing_is_decided_twice(
    deciders: Deciders,
) -> None:
    for _ in range(2):
        killed = deciders.leader()
        os.kill(killed, signal.SIGKILL)
        deciders.processes.pop(killed).wait()
        deciders.decides()
        assert deciders.leader() in deciders.processes
        deciders.start()
    assert_each_row_was_decided_once(deciders)


def test_a_leader_that_is_paused_is_followed_by_another_and_follows_when_it_wakes(
    deciders: Deciders,
) -> None:
    paused = deciders.leader()
    os.kill(paused, signal.SIGSTOP)
    deciders.decides()
    second = deciders.leader()
    assert second in deciders.processes
    assert second != paused
    os.kill(paused, signal.SIGCONT)
    deciders.decides()
    deciders.wait_until(lambda: deciders.leader() == second)
    os.kill(second, signal.SIGKILL)
    deciders.decides()
    assert deciders.leader() == paused, "it went on as a follower"
    assert_each_row_was_decided_once(deciders)


def test_a_leader_that_is_told_to_end_hands_over(deciders: Deciders) -> None:
    first = deciders.leader()
    deciders.processes[first].terminate()
    assert deciders.processes.pop(first).wait(PATIENCE_S) == 0
    deciders.decides()
    assert deciders.leader() in deciders.processes
    assert_each_row_was_decided_once(deciders)


def test_a_restart_of_the_database_costs_time_and_nothing_else(
    postgres: PostgresServer, deciders: Deciders
) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT):
        postgres.stop(how)
        postgres.start()
        deciders.decides()
    assert all(process.poll() is None for process in deciders.processes.values())
    assert_each_row_was_decided_once(deciders)


def assert_each_row_was_decided_once(deciders: Deciders) -> None:
    """Everything asked for is there once, and a replay decides every round alike."""
    deciders.stop_asking()
    world = load_world(deciders.engine)
    assert sorted(each.id for each in world.providers.rows()) == deciders.asked
    with deciders.engine.connect().execution_options(is_read=True) as connection:
        policy = load_policy(connection)
        rounds = [Round(at, rows, digest) for at, digest, rows in recorded_rounds(connection)]
        numbers = connection.execute(select(tables.round_.c.number)).scalars().all()
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert [each.at for each in rounds] == sorted(each.at for each in rounds)
    taken = [row.id for each in rounds for row in each.inbox]
    assert sorted(taken) == deciders.asked
    assert replay(Recording(policy, rounds)).differing == ()
