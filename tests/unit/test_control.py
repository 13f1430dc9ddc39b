"""The loops around the river: inbox, clock, wake-ups, migrations."""

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, func, inspect, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from intertie.control import clock
from intertie.control import decider as decider_module
from intertie.control.bootstrap import (
    database_url,
    make_token,
    open_network,
    raise_incarnation,
    save_credentials,
)
from intertie.control.clock import SteadyClock
from intertie.control.decider import Decider, run
from intertie.control.waiting import NotDecided, Refused, ask
from intertie.control.wake import Wake
from intertie.cycle.inbox import InboxRow
from intertie.model.policy import Policy
from intertie.simulator.recording import recorded, replay
from intertie.store import database, tables
from intertie.store.appending import (
    KeyReused,
    append,
    find_credential,
    own_blob,
    owns_blob,
    spend_credential,
    waited,
)
from intertie.store.database import migrate, open_database
from intertie.store.loading import inbox_row, load_policy, load_world
from intertie.world.changes import Changes
from intertie.world.world import World
from tests.builders import NOW

A_PROVIDER = {"name": "lab"}


@pytest.fixture(name="engine")
def _engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_network(database_url(tmp_path))
    yield engine
    engine.dispose()


def a_provider(engine: Engine, name: str, key: str | None = None) -> int:
    return append(engine, "provider", 0, NOW, {"name": name}, key)


def test_a_row_that_another_connection_appended_is_taken_exactly_once(
    engine: Engine, tmp_path: Path
) -> None:
    decider = Decider(engine)
    other = open_database(database_url(tmp_path))
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
    first, second = Decider(engine), Decider(engine)
    a_provider(engine, "lab")
    assert first.decide() == 1
    a_provider(engine, "west")
    assert second.decide() == 1
    a_provider(engine, "night")
    # Its World is stale: the guard of the round's number refuses what it decides.
    with pytest.raises(IntegrityError):
        first.decide()
    assert first.decide() == 1
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


def test_the_same_key_and_body_is_the_same_row_and_another_body_is_refused(
    engine: Engine,
) -> None:
    first = a_provider(engine, "lab", key="k")
    assert a_provider(engine, "lab", key="k") == first
    with pytest.raises(KeyReused):
        a_provider(engine, "other", key="k")
    assert append(engine, "provider", 7, NOW, {"name": "other"}, "k") != first
    assert a_provider(engine, "lab") != a_provider(engine, "lab")
    assert Decider(engine).decide() == 4


def test_a_key_stays_used_after_its_row_was_taken(engine: Engine) -> None:
    first = a_provider(engine, "lab", key="k")
    Decider(engine).decide()
    assert a_provider(engine, "lab", key="k") == first
    assert Decider(engine).decide() == -1


def test_the_clock_never_goes_back_not_even_in_the_next_leader(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW + 5_000)
    decider = Decider(engine)
    a_provider(engine, "lab")
    decider.decide()
    monkeypatch.setattr(clock, "now_ms", lambda: NOW)
    for leader in (decider, Decider(engine)):
        a_provider(engine, str(id(leader)))
        leader.decide()
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


def test_a_door_hears_the_answer_of_the_round_or_why_not(engine: Engine, tmp_path: Path) -> None:
    door, decides = Wake(tmp_path, "door"), Wake(tmp_path, "decider")
    should_stop = threading.Event()
    loop = threading.Thread(target=run, args=(engine, decides, should_stop))
    loop.start()
    try:
        number, answer = ask(engine, door, "provider", 0, A_PROVIDER, key="k")
        assert answer["values"] == {"provider": number}
        assert ask(engine, door, "provider", 0, A_PROVIDER, key="k")[0] == number
        with pytest.raises(Refused) as refused:
            ask(engine, door, "provider", 0, A_PROVIDER)
        assert refused.value.refusal.code == "name_taken"
    finally:
        should_stop.set()
        decides.poke()
        loop.join()
        door.close()
        decides.close()


def test_a_door_that_no_round_answers_says_so_and_the_row_stays(
    engine: Engine, tmp_path: Path
) -> None:
    door = Wake(tmp_path, "door")
    with pytest.raises(NotDecided) as raised:
        ask(engine, door, "provider", 0, A_PROVIDER, timeout_s=0.05)
    door.close()
    assert Decider(engine).decide() == 1
    assert waited(engine, raised.value.number).is_taken
    with pytest.raises(NoResultFound):
        waited(engine, 999)


def test_a_fresh_database_is_exactly_what_the_tables_say(tmp_path: Path) -> None:
    engine = open_database(database_url(tmp_path))
    migrate(engine)
    with engine.connect().execution_options(is_read=True) as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


def test_migrations_go_down_and_up_again_and_twice_is_nothing_new(tmp_path: Path) -> None:
    engine = open_database(database_url(tmp_path))
    migrate(engine)
    migrate(engine)
    full = inspect(engine).get_table_names()
    with engine.connect() as connection:
        config = Config()
        config.set_main_option(
            "script_location", str(Path(database.__file__).parent / "migrations")
        )
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert inspect(engine).get_table_names() == full
    engine.dispose()


def test_the_first_start_makes_one_network_and_the_next_ones_none(tmp_path: Path) -> None:
    policy = Policy(fee_ppm=7)
    first = open_network(database_url(tmp_path), "one", policy)
    again = open_network(database_url(tmp_path), "two")
    raise_incarnation(again)
    with again.connect().execution_options(is_read=True) as connection:
        [row] = connection.execute(select(tables.network)).mappings().all()
    assert (row["name"], row["incarnation"]) == ("one", 2)
    assert Decider(again).policy == policy
    first.dispose()
    again.dispose()


def test_a_token_is_kept_as_a_hash_and_a_spent_one_is_unknown(engine: Engine) -> None:
    with engine.begin() as connection:
        token = make_token(connection, "project", 7)
        hashes = connection.execute(select(tables.credential.c.hash)).scalars().all()
    assert token not in hashes
    assert find_credential(engine, token) == ("project", 7)
    assert find_credential(engine, token + "x") is None
    assert spend_credential(engine, token, NOW)
    assert not spend_credential(engine, token, NOW)
    assert find_credential(engine, token) is None


def test_a_blob_belongs_to_who_put_it(engine: Engine) -> None:
    for _ in range(2):
        own_blob(engine, "a" * 64, 7)
    assert owns_blob(engine, "a" * 64, 7)
    assert not owns_blob(engine, "a" * 64, 8)


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

    def stumbles(world: World, inbox: list[InboxRow], policy: Policy, now: int) -> Changes:
        assert all(row.body.get("name") != "bad" for row in inbox), "our mistake"
        return river(world, inbox, policy, now)

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
