"""The loops around the river: inbox, clock, wake-ups, the first start; on both databases."""

import json
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from intertie.control import clock
from intertie.control import decider as decider_module
from intertie.control.bootstrap import open_network, raise_incarnation, save_credentials
from intertie.control.clock import SteadyClock
from intertie.control.decider import Decider
from intertie.control.leadership import Deposed
from intertie.control.wake import Wake
from intertie.cycle.inbox import InboxRow
from intertie.model.policy import Policy
from intertie.simulator.recording import recorded, replay
from intertie.store import tables
from intertie.store.appending import append, waited
from intertie.store.database import open_database
from intertie.store.loading import inbox_row, load_policy, load_world
from intertie.world.changes import Changes
from intertie.world.world import World
from tests.builders import NOW


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_network(database_url)
    yield engine
    engine.dispose()


def a_provider(engine: Engine, name: str, key: str | None = None) -> int:
    return append(engine, "provider", 0, NOW, {"name": name}, key)


def test_a_row_that_another_connection_appended_is_taken_exactly_once(
    engine: Engine, database_url: str
) -> None:
    decider = Decider(engine)
    other = open_database(database_url)
    number = a_provider(other, "lab")
    assert not waited(other, number).is_taken
    assert decider.decide() == 1
    assert decider.decide() == -1
    found = waited(other, number)
    other.dispose()
    assert found.is_taken
    assert found.answer == {
        "inbox": number, "refusal": None, "values": {"provider": number}, "document": None,
    }  # fmt: skip


def test_two_deciders_in_turn_take_no_row_twice(engine: Engine) -> None:
    first = Decider(engine)
    a_provider(engine, "lab")
    assert first.decide() == 1
    second = Decider(engine)
    a_provider(engine, "west")
    with pytest.raises(Deposed):
        first.decide()
    assert second.decide() == 1
    a_provider(engine, "night")
    with pytest.raises(Deposed):
        first.decide()
    assert second.decide() == 1
    assert len(load_world(engine).providers) == 3


def test_even_under_one_term_a_stale_world_commits_nothing(engine: Engine) -> None:
    first = Decider(engine)
    second = Decider(engine, first.term)
    a_provider(engine, "lab")
    assert first.decide() == 1
    assert second.decide() == -1
    a_provider(engine, "west")
    assert first.decide() == 1
    a_provider(engine, "night")
    with pytest.raises(IntegrityError):  # the guard of the round's number
        second.decide()
    assert second.decide() == 1
    assert len(load_world(engine).providers) == 3


def test_a_row_that_commits_late_is_not_lost(engine: Engine) -> None:
    decider = Decider(engine)
    numbers = [a_provider(engine, f"p{n}") for n in range(3)]
    with engine.begin() as connection:
        late = connection.execute(select(tables.inbox).where(tables.inbox.c.id == numbers[1]))
        row = dict(late.mappings().one())
        connection.execute(tables.inbox.delete().where(tables.inbox.c.id == numbers[1]))
    assert decider.decide() == 2
    with engine.begin() as connection:
        connection.execute(tables.inbox.insert(), [row])
    assert decider.decide() == 1
    assert waited(engine, numbers[1]).is_taken
    assert set(numbers) == {p.id for p in load_world(engine).providers.rows()}


def test_the_clock_never_goes_back_not_even_in_the_next_leader(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW + 5_000)
    decider = Decider(engine)
    a_provider(engine, "lab")
    decider.decide()
    monkeypatch.setattr(clock, "now_ms", lambda: NOW)
    a_provider(engine, "west")
    decider.decide()
    a_provider(engine, "night")
    Decider(engine).decide()
    with engine.connect().execution_options(is_read=True) as connection:
        instants = connection.execute(select(tables.round_.c.at)).scalars().all()
    assert instants == [NOW + 5_000] * 3


def test_a_steady_clock_follows_the_machine_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((5, 9, 7, 11))
    monkeypatch.setattr(clock, "now_ms", lambda: next(times))
    steady = SteadyClock(6)
    assert [steady.now() for _ in range(4)] == [6, 9, 9, 11]


def test_a_round_that_changes_nothing_is_not_written(engine: Engine) -> None:
    assert Decider(engine).decide() == -1
    with engine.connect().execution_options(is_read=True) as connection:
        count = connection.execute(select(func.count()).select_from(tables.round_)).scalar_one()
    assert count == 0


def test_what_was_decided_live_is_replayed_to_the_same_hashes(engine: Engine) -> None:
    decider = Decider(engine)
    append(engine, "project", 0, NOW, {"name": "p", "weight": 1, "trial_micro": 5})
    a_provider(engine, "lab")
    decider.decide()
    append(engine, "top_up", 0, NOW, {"project": 1, "amount_micro": 7})
    a_provider(engine, "lab")
    decider.decide()
    with engine.connect().execution_options(is_read=True) as connection:
        rows = connection.execute(select(tables.inbox)).mappings().all()
        rounds = connection.execute(select(tables.round_)).mappings().all()
        policy = load_policy(connection)
    kept = [
        (r["number"], r["at"], r["digest"],
         [inbox_row(row) for row in rows if row["taken_round"] == r["number"]])
        for r in rounds
    ]  # fmt: skip
    again = replay(recorded(policy, kept))
    assert (len(again.changes), again.differing) == (2, ())
    assert again.world.balances == load_world(engine).balances


def _poke_from_elsewhere(folder: Path) -> None:
    wake = Wake(folder, "other")
    wake.poke()
    wake.close()


def test_a_poke_reaches_another_process(tmp_path: Path) -> None:
    wake = Wake(tmp_path, "mine")
    seen = wake.seen()
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_poke_from_elsewhere, args=(tmp_path,))
    other.start()
    begun = time.monotonic()
    wake.wait(seen, 20)
    waited_s = time.monotonic() - begun
    other.join()
    assert other.exitcode == 0
    assert wake.seen() > seen
    assert waited_s < 15
    wake.close()


def test_a_poke_that_came_before_the_wait_is_not_lost(tmp_path: Path) -> None:
    mine, other = Wake(tmp_path, "mine"), Wake(tmp_path, "other")
    seen = mine.seen()
    other.poke()
    begun = time.monotonic()
    mine.wait(seen, 10)
    assert time.monotonic() - begun < 5
    mine.close()
    other.close()


def test_the_ear_of_a_process_that_died_is_cleared_away(tmp_path: Path) -> None:
    mine = Wake(tmp_path, "mine")
    dead = tmp_path / "wake" / "dead-1.sock"
    dead.touch()
    mine.poke()
    assert not dead.exists()
    mine.close()


def test_waiting_ends_after_its_time_when_nobody_pokes(tmp_path: Path) -> None:
    mine = Wake(tmp_path, "mine")
    begun = time.monotonic()
    mine.wait(mine.seen(), 0.05)
    assert 0.04 < time.monotonic() - begun < 5
    mine.close()


def test_the_first_start_makes_one_network_and_the_next_ones_none(database_url: str) -> None:
    policy = Policy(fee_ppm=7)
    first = open_network(database_url, "one", policy)
    again = open_network(database_url, "two")
    raise_incarnation(again)
    with again.connect().execution_options(is_read=True) as connection:
        [row] = connection.execute(select(tables.network)).mappings().all()
    assert (row["name"], row["incarnation"]) == ("one", 2)
    assert Decider(again).policy == policy
    first.dispose()
    again.dispose()


def test_saved_credentials_are_for_their_owners_eyes_and_are_added_to(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    save_credentials(path, "http://x", {"operator": "a"}, "operator")
    save_credentials(path, "http://x", {"small": "b"}, "small")
    assert path.stat().st_mode & 0o777 == 0o600
    found: dict[str, Any] = json.loads(path.read_text())
    assert found == {
        "url": "http://x", "tokens": {"operator": "a", "small": "b"}, "default": "small",
    }  # fmt: skip


def test_a_row_that_no_round_can_take_is_laid_aside_and_the_others_are_taken(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    river = decider_module.flow

    def stumbles(world: World, inbox: list[InboxRow], *rest: Any) -> Changes:
        assert all(row.body.get("name") != "bad" for row in inbox), "our mistake"
        return river(world, inbox, *rest)

    monkeypatch.setattr(decider_module, "flow", stumbles)
    rows = [append(engine, "provider", 0, 1, {"name": name}) for name in ("good", "bad", "better")]
    decider = Decider(engine)
    while decider.decide() >= 0:
        pass
    answers = [waited(engine, row).answer or {} for row in rows]
    assert [a["refusal"] and a["refusal"]["code"] for a in answers] == [
        None,
        "internal_error",
        None,
    ]
