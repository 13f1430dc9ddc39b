"""Pokes reach every process of a network, whichever database carries them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from intertie.control import notify
from intertie.control.bootstrap import open_network
from intertie.control.wake import Wake
from intertie.store.appending import append, waited
from intertie.store.reading import last_round, snapshot
from tests.builders import NOW
from tests.support.databases import PostgresServer

PATIENCE_S = 30.0


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_network(database_url)
    yield engine
    engine.dispose()


def wait_until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.02)


def is_heard(voice: Wake, ear: Wake) -> None:
    """Return when a poke of one is heard by the other."""
    seen = ear.seen()

    def poke() -> bool:
        voice.poke()
        ear.wait(seen, 0.1)
        return ear.seen() > seen

    wait_until(poke)


def test_a_poke_reaches_the_others_and_whoever_waits_here(engine: Engine, tmp_path: Path) -> None:
    mine, other = Wake(tmp_path, "mine", engine), Wake(tmp_path, "other", engine)
    is_heard(mine, other)
    is_heard(other, mine)
    seen = mine.seen()
    mine.poke()
    assert mine.seen() > seen
    mine.close()
    other.close()


def test_whoever_waits_is_let_go_when_its_ear_is_closed(engine: Engine, tmp_path: Path) -> None:
    mine = Wake(tmp_path, "mine", engine)
    seen = mine.seen()
    waiting = threading.Thread(target=mine.wait, args=(seen, 3600.0))
    waiting.start()
    mine.close()
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()


def test_many_pokes_go_as_few_notifications(
    postgres_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "PAUSE_S", 0.2)
    mine, other = Wake(tmp_path, "mine", postgres_engine), Wake(tmp_path, "other", postgres_engine)
    is_heard(mine, other)
    before = other.seen()
    begun = time.monotonic()
    for _ in range(5_000):
        mine.poke()
    wait_until(lambda: other.seen() > before)
    lasted_s = time.monotonic() - begun
    assert other.seen() - before <= 2 + lasted_s / 0.2
    mine.close()
    other.close()


def test_after_a_restart_of_the_database_pokes_are_heard_again_and_all_are_woken(
    postgres: PostgresServer, postgres_engine: Engine, tmp_path: Path
) -> None:
    mine, other = Wake(tmp_path, "mine", postgres_engine), Wake(tmp_path, "other", postgres_engine)
    is_heard(mine, other)
    seen = other.seen()
    postgres.stop()
    postgres.start()
    wait_until(lambda: other.seen() > seen)
    is_heard(mine, other)
    is_heard(other, mine)
    mine.close()
    other.close()


def test_an_ear_closes_while_the_database_is_away(
    postgres: PostgresServer, postgres_engine: Engine, tmp_path: Path
) -> None:
    mine = Wake(tmp_path, "mine", postgres_engine)
    postgres.stop()
    try:
        mine.poke()
        mine.close()
    finally:
        postgres.start()


def test_reads_and_appends_wait_while_the_database_restarts(
    postgres: PostgresServer, postgres_engine: Engine
) -> None:
    first = append(postgres_engine, "provider", 0, NOW, {"name": "lab"})

    def read() -> tuple[bool, tuple[int, int]]:
        is_taken = waited(postgres_engine, first).is_taken
        with snapshot(postgres_engine) as connection:
            return is_taken, last_round(connection)

    for _ in range(2):
        postgres.stop()
        with ThreadPoolExecutor(2) as threads:
            reads = threads.submit(read)
            appends = threads.submit(append, postgres_engine, "provider", 0, NOW, {"name": "west"})
            time.sleep(0.3)
            postgres.start()
            assert reads.result(PATIENCE_S) == (False, (0, 0))
            assert appends.result(PATIENCE_S) > first


def test_a_snapshot_sees_one_instant_and_cannot_write(postgres_engine: Engine) -> None:
    append(postgres_engine, "provider", 0, NOW, {"name": "lab"})
    count = text("SELECT count(*) FROM inbox")
    with snapshot(postgres_engine) as connection:
        assert connection.execute(count).scalar() == 1
        append(postgres_engine, "provider", 0, NOW, {"name": "west"})
        assert connection.execute(count).scalar() == 1
    with snapshot(postgres_engine) as connection:
        assert connection.execute(count).scalar() == 2
        assert connection.execute(text("SHOW transaction_read_only")).scalar() == "on"


def test_sessions_are_what_durability_and_fencing_need(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as connection:
        found = {
            name: connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("synchronous_commit", "application_name", "transaction_isolation")
        }
    assert found == {
        "synchronous_commit": "on",
        "application_name": "intertie",
        "transaction_isolation": "read committed",
    }
