"""One decides at a time: by a term in the database, on both databases."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import DBAPIError

from intertie.control import decider as decider_module
from intertie.control import leadership
from intertie.control.bootstrap import open_network, raise_incarnation
from intertie.control.decider import Decider, run
from intertie.control.leadership import HOLD_MS, Deposed, Renewing, check, release, renew, take
from intertie.control.wake import Wake
from intertie.store import tables
from intertie.store.appending import append, waited
from intertie.store.loading import load_world
from tests.builders import NOW

PATIENCE_S = 30.0


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_network(database_url)
    yield engine
    engine.dispose()


def shift_until(engine: Engine, by_ms: int) -> None:
    """Pretend that the leader renewed earlier or later than it did."""
    table = tables.leadership
    with engine.begin() as connection:
        connection.execute(update(table).values(until_at=table.c.until_at + by_ms))


def test_nobody_takes_what_another_holds_until_its_time_is_over(engine: Engine) -> None:
    first = take(engine, "one")
    assert first == 1
    assert take(engine, "two") is None
    shift_until(engine, -HOLD_MS - 1)
    assert take(engine, "two") == 2
    with pytest.raises(Deposed):
        renew(engine, first)


def test_a_leader_that_renews_is_left_alone_and_one_that_releases_is_followed_at_once(
    engine: Engine,
) -> None:
    term = take(engine, "one")
    assert term is not None
    shift_until(engine, -HOLD_MS - 1)
    renew(engine, term)
    assert take(engine, "two") is None
    release(engine, term)
    assert take(engine, "two") == term + 1


def test_who_led_until_now_takes_the_next_term_at_once(engine: Engine) -> None:
    """As after a database that was away: its own old term must not keep it waiting."""
    assert take(engine, "one") == 1
    assert take(engine, "one") == 2


def test_a_database_clock_that_went_back_keeps_nobody_waiting(engine: Engine) -> None:
    take(engine, "one")
    shift_until(engine, 3_600_000)
    assert take(engine, "two") == 2


def test_no_term_comes_again_after_a_restore(engine: Engine) -> None:
    """A leader that slept through it must not find its own term held by another."""
    slept = [take(engine, f"leader{n}", is_sure=True) for n in range(5)]
    with engine.begin() as connection:
        connection.execute(update(tables.leadership).values(term=1))  # as the backup has it
    raise_incarnation(engine)
    since = [take(engine, f"leader{n}", is_sure=True) for n in range(5)]
    assert not set(slept) & set(since)


def test_a_deposed_leader_commits_nothing_and_lays_nothing_aside(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Decider(engine)
    number = append(engine, "provider", 0, NOW, {"name": "lab"})
    Decider(engine)
    with pytest.raises(Deposed):
        old.decide()
    monkeypatch.setattr(decider_module, "flow", lambda *_: 1 // 0)
    with pytest.raises(Deposed):
        old.decide()
    assert not waited(engine, number).is_taken
    assert len(load_world(engine).providers) == 0


def test_a_term_is_renewed_while_a_round_takes_long(engine: Engine) -> None:
    term = take(engine, "one")
    assert term is not None
    held_until = until(engine)
    with Renewing(engine, term):
        wait_until(lambda: until(engine) > held_until + HOLD_MS)


def until(engine: Engine) -> int:
    with engine.connect().execution_options(is_read=True) as connection:
        return connection.execute(select(tables.leadership.c.until_at)).scalar_one()


def test_a_leader_that_is_stuck_makes_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Renewing, "STUCK_S", 1.0)
    term = take(engine, "one")
    assert term is not None
    with Renewing(engine, term):
        wait_until(lambda: take(engine, "two") is not None)
    with pytest.raises(Deposed):
        renew(engine, term)


def test_an_idle_leader_that_was_deposed_notices(engine: Engine) -> None:
    term = take(engine, "one")
    assert term is not None
    with Renewing(engine, term) as renewing:
        take(engine, "two", is_sure=True)
        wait_until(lambda: is_deposed(renewing))


def is_deposed(renewing: Renewing) -> bool:
    try:
        renewing.still_there()
    except Deposed:
        return True
    return False


def test_a_commit_that_lasts_longer_than_the_hold_keeps_the_leadership(
    postgres_engine: Engine,
) -> None:
    term = take(postgres_engine, "one")
    assert term is not None
    taken: list[int | None] = []
    candidate = threading.Thread(target=lambda: taken.append(take(postgres_engine, "two")))
    with Renewing(postgres_engine, term):
        with postgres_engine.begin() as connection:
            check(connection, term)
            connection.execute(text("SELECT pg_sleep(3)"))
            candidate.start()
            connection.execute(text("SELECT pg_sleep(0.5)"))
        candidate.join(PATIENCE_S)
        assert taken == [None]


def test_a_leader_that_stands_still_in_its_commit_loses_its_session_and_the_lock(
    postgres_engine: Engine,
) -> None:
    term = take(postgres_engine, "one")
    assert term is not None
    with postgres_engine.connect() as connection:
        check(connection, term)
        wait_until(lambda: take(postgres_engine, "two") is not None)
        with pytest.raises(DBAPIError):
            connection.execute(select(tables.leadership))


def test_two_processes_of_one_network_decide_each_row_once_whoever_leads(
    engine: Engine, tmp_path: Path
) -> None:
    wakes = [Wake(tmp_path, name, engine) for name in ("one", "two")]
    stops = [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(target=run, args=(engine, wake, stop))
        for wake, stop in zip(wakes, stops, strict=True)
    ]
    threads[0].start()
    try:
        for n in range(6):
            number = append(engine, "provider", 0, NOW, {"name": f"p{n}"})
            wakes[0].poke()
            wait_until(lambda number=number: waited(engine, number).is_taken)
            if n == 1:
                threads[1].start()
            if n == 3:
                stops[0].set()
                threads[0].join(PATIENCE_S)
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        for wake in wakes:
            wake.close()
    assert len(load_world(engine).providers) == 6
    with engine.connect().execution_options(is_read=True) as connection:
        row = connection.execute(select(tables.leadership)).mappings().one()
    assert row["term"] >= 2
    assert row["until_at"] == 0


def test_a_hold_is_renewed_several_times_before_it_ends() -> None:
    assert 3 * leadership.RENEW_S * 1000 < HOLD_MS


def wait_until(is_so: object) -> None:
    """Return once a condition holds; fail when it never does."""
    assert callable(is_so)
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.05)
