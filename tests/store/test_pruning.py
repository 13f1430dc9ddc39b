"""The inbox forgets syncs and questions of long ago, and says from where a replay can begin."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select

from intertie.control import clock
from intertie.control.bootstrap import open_network
from intertie.control.decider import Decider
from intertie.model.policy import Policy
from intertie.simulator.recording import Recording, Round, replay
from intertie.store import pruning, tables
from intertie.store.appending import append
from intertie.store.loading import Pruned, load_policy, load_world, recorded_rounds
from tests.builders import NOW

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_network(database_url, policy=Policy(keep_inbox_s=24 * 3600))
    yield engine
    engine.dispose()


def kinds_in(engine: Engine) -> list[str]:
    query = select(tables.inbox.c.kind).order_by(tables.inbox.c.id)
    with engine.connect().execution_options(is_read=True) as connection:
        return list(connection.execute(query).scalars())


def at(monkeypatch: pytest.MonkeyPatch, now: int) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: now)


def test_only_taken_syncs_and_questions_that_are_old_are_dropped(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PORTION", 3)
    at(monkeypatch, NOW)
    for kind in ("sync", "session", "why", "quote"):
        append(engine, kind, 1, NOW, {})
    append(engine, "provider", 0, NOW, {"name": "lab"})
    append(engine, "sync", 1, NOW, {})
    decider = Decider(engine)
    with engine.begin() as connection:
        connection.execute(tables.inbox.update().values(taken_round=1))
    append(engine, "sync", 1, NOW, {})  # nobody took this one
    append(engine, "sync", 1, NOW + DAY_MS, {})
    decider.prune()
    assert len(kinds_in(engine)) == 8
    at(monkeypatch, NOW + DAY_MS + 1)
    for _ in range(5):
        decider.prune()
    assert kinds_in(engine) == ["provider", "sync", "sync"]


def test_a_replay_begins_after_what_was_pruned_and_says_so_where_it_cannot(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = Decider(engine)
    for n in range(4):
        at(monkeypatch, NOW + n * DAY_MS)
        append(engine, "provider", 0, NOW + n * DAY_MS, {"name": f"p{n}"})
        append(engine, "sync", 1, NOW + n * DAY_MS, {"epoch": 1, "sequence": n})
        assert decider.decide() == 2
        if n == 1:
            world = load_world(engine)
    at(monkeypatch, NOW + 2 * DAY_MS + 1)
    Decider(engine).prune()
    with engine.connect().execution_options(is_read=True) as connection:
        with pytest.raises(Pruned) as refused:
            recorded_rounds(connection)
        kept = recorded_rounds(connection, after=refused.value.round)
        policy = load_policy(connection)
    assert refused.value.round == 2
    assert len(kept) == 2
    rounds = [Round(when, rows, digest) for when, digest, rows in kept]
    assert replay(Recording(policy, rounds), world=world).differing == ()
