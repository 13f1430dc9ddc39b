"""A commit that fails between any two statements leaves nothing, and is decided again alike."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event, inspect, text

from intertie.control import clock
from intertie.control.bootstrap import open_network
from intertie.control.decider import Decider
from intertie.model.ids import encode
from intertie.model.plain import to_plain
from intertie.model.units import MICRO
from intertie.store.appending import append
from intertie.store.database import open_database
from intertie.wire.digest import observation_digest
from tests.builders import NOW, a_request, some_facts
from tests.support.databases import Databases


class PlugPulled(Exception):
    """The process was killed here."""


@pytest.fixture(name="before")
def _before(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose next round ends a task, places others, and refuses one job."""
    ticks = iter(range(NOW, NOW + 10**9, 1000))
    monkeypatch.setattr(clock, "now_ms", lambda: next(ticks))
    engine = open_network(database_url)
    project = decided(engine, "project", 0, {"name": "p", "weight": 1, "trial_micro": 9 * MICRO})
    provider = decided(engine, "provider", 0, {"name": "q"})
    pool = decided(engine, "agent", provider, {"pool": "pool", "public_key": "key"})
    decided(engine, "session", pool, {"pool": to_plain(some_facts())})
    decided(engine, "job", project, asking(task_count=3))
    append(engine, "sync", pool, NOW, an_end(lease=1))
    append(engine, "job", project, NOW, asking(task_count=2))
    append(engine, "job", project, NOW, asking(providers=("nobody",)))
    engine.dispose()
    return database_url


def test_a_commit_that_fails_anywhere_leaves_nothing_and_is_decided_again_alike(
    before: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide_at_noon(url: str, fail_at: int) -> tuple[int, dict[str, list[Any]]]:
        monkeypatch.setattr(clock, "now_ms", lambda: NOW + 3_600_000)
        return _decide(url, fail_at)

    untouched = _contents_of(before)
    statements, wanted = decide_at_noon(databases.copy(before), fail_at=0)
    assert statements > 15
    assert wanted != untouched
    for number in range(1, statements + 1):
        copy = databases.copy(before)
        with pytest.raises(PlugPulled):
            decide_at_noon(copy, fail_at=number)
        assert _contents_of(copy) == untouched, f"statement {number} left something"
        _, found = decide_at_noon(copy, fail_at=0)
        assert found == wanted


def test_the_same_decider_decides_again_after_a_commit_that_failed(before: str) -> None:
    engine = open_network(before)
    decider = Decider(engine)
    with _failing(engine, 9), pytest.raises(PlugPulled):
        decider.decide()
    assert decider.decide() == 3
    assert decider.decide() == -1
    engine.dispose()


def test_a_decider_whose_commit_failed_goes_on_after_what_another_committed(before: str) -> None:
    engine = open_network(before)
    decider = Decider(engine)
    with _failing(engine, 9), pytest.raises(PlugPulled):
        decider.decide()
    assert Decider(engine, decider.term).decide() == 3
    append(engine, "provider", 0, NOW, {"name": "later"})
    assert decider.decide() == 1
    engine.dispose()


def decided(engine: Engine, kind: str, actor: int, body: dict[str, Any]) -> int:
    """Append a row, decide a round, and return the row's id."""
    number = append(engine, kind, actor, NOW, body)
    assert Decider(engine).decide() == 1
    return number


def asking(**known: Any) -> dict[str, Any]:
    """The body of a row that submits a job."""
    return {"request": to_plain(a_request(**known)), "option": ""}


def an_end(lease: int) -> dict[str, Any]:
    """The body of a sync that says that a lease has done its work."""
    said = {
        "lease": encode("lease", lease),
        "token": 1,
        "state": "ended",
        "cause": "exited",
        "exit_code": 0,
        "ran_ms": 900,
        "files": [{"path": "out", "sha256": "0" * 64, "size_bytes": 1, "kind": "result"}],
    }
    owner = {
        "lent_cpus_milli": 2000,
        "lent_memory_bytes": 2**33,
        "is_draining": False,
    }
    return {
        "epoch": 1,
        "sequence": 1,
        "digest": observation_digest([]),
        "leases": [said],
        "declines": [],
        "owner": owner,
    }


def _decide(url: str, fail_at: int) -> tuple[int, dict[str, list[Any]]]:
    """Decide one round that fails at a statement; return the statements and what is stored."""
    engine = open_database(url)
    try:
        decider = Decider(engine)
        with _failing(engine, fail_at) as counted:
            decider.decide()
        return counted(), _contents(engine)
    finally:
        engine.dispose()


class _failing:  # noqa: N801 - reads as a statement
    """Counts statements up to the commit, and pulls the plug before one of them; 0 is never."""

    def __init__(self, engine: Engine, fail_at: int) -> None:
        self.engine, self.fail_at, self.count = engine, fail_at, 0
        self.is_committed = False

    def __enter__(self) -> Callable[[], int]:
        event.listen(self.engine, "before_cursor_execute", self._step)
        event.listen(self.engine, "commit", self._commit)
        return lambda: self.count

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine, "before_cursor_execute", self._step)
        event.remove(self.engine, "commit", self._commit)

    def _commit(self, *_: object) -> None:
        self._step()
        self.is_committed = True  # what follows is told about the round, and is none of it.

    def _step(self, *_: object) -> None:
        if not self.is_committed:
            self.count += 1
            if self.count == self.fail_at:
                raise PlugPulled


def _contents_of(url: str) -> dict[str, list[Any]]:
    engine = open_database(url)
    try:
        return _contents(engine)
    finally:
        engine.dispose()


def _contents(engine: Engine) -> dict[str, list[Any]]:
    """Return every row of every table, but for who leads, what is told of rounds and their times.

    Events are in their order and without their numbers: PostgreSQL gives none of them twice, not
    even those that were not committed.
    """
    found = {}
    with engine.connect().execution_options(is_read=True) as connection:
        for table in set(inspect(connection).get_table_names()) - {"leadership"}:
            query = text(f'select * from "{table}"')
            every = [dict(row) for row in connection.execute(query).mappings()]
            rows = [row for row in every if row.get("kind") != "board"]
            rows.sort(key=lambda row: row["id"] if table == "event" else str(row))
            forgotten = {"round": "took_us", "event": "id"}.get(table)
            found[table] = [{k: v for k, v in row.items() if k != forgotten} for row in rows]
    return found
