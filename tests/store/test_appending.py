"""What doors append: once, in order, under its key, and durable when they hear of it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, event, func, select

from intertie.control.bootstrap import make_token, open_network
from intertie.control.decider import Decider
from intertie.store import tables
from intertie.store.appending import (
    Appended,
    KeyReused,
    append,
    append_many,
    find_credential,
    own_blob,
    owns_blob,
    spend_credential,
    waited,
    waited_many,
)
from tests.builders import NOW


@pytest.fixture(name="engine")
def _engine(database_url: str) -> Iterator[Engine]:
    engine = open_network(database_url)
    yield engine
    engine.dispose()


def a_provider(name: str, key: str | None = None, actor: int = 0) -> Appended:
    return Appended("provider", actor, NOW, {"name": name}, key)


def rows_in(engine: Engine) -> int:
    with engine.connect().execution_options(is_read=True) as connection:
        return connection.execute(select(func.count()).select_from(tables.inbox)).scalar_one()


def test_many_rows_get_their_numbers_in_order_and_a_reused_key_is_told_for_its_row_alone(
    engine: Engine,
) -> None:
    first = append(engine, "provider", 0, NOW, {"name": "lab"}, "k")
    found = append_many(
        engine,
        [
            a_provider("west"),
            a_provider("lab", key="k"),
            a_provider("other", key="k"),
            a_provider("night", key="n"),
            a_provider("night", key="n"),
            a_provider("day", key="n"),
            a_provider("lab", key="k", actor=7),
            Appended("sync", 7, NOW, {}),
        ],
    )
    west, lab, other, night, again, day, of_seven, sync = found
    assert lab == first
    assert night == again
    assert isinstance(other, KeyReused)
    assert isinstance(day, KeyReused)
    numbers = [each for each in (west, night, of_seven, sync) if isinstance(each, int)]
    assert first < min(numbers)
    assert numbers == sorted(set(numbers))
    assert rows_in(engine) == 5


def test_the_same_key_and_body_is_the_same_row_and_another_body_is_refused(
    engine: Engine,
) -> None:
    def ask(name: str, actor: int = 0, key: str | None = "k") -> int:
        return append(engine, "provider", actor, NOW, {"name": name}, key)

    first = ask("lab")
    assert ask("lab") == first
    with pytest.raises(KeyReused):
        ask("other")
    assert ask("other", actor=7) != first
    assert ask("lab", key=None) != ask("lab", key=None)
    assert Decider(engine).decide() == 4
    assert ask("lab") == first
    assert Decider(engine).decide() == -1


def test_whoever_asks_twice_at_once_under_one_key_gets_one_row(engine: Engine) -> None:
    asked = [a_provider(f"p{n % 5}", key=f"k{n % 5}") for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: append_many(engine, asked), range(16)))
    assert rows_in(engine) == 5
    assert len({tuple(map(str, numbers)) for numbers in found}) == 1


def test_what_is_appended_is_what_a_round_reads(engine: Engine) -> None:
    odd = {"name": "算联 \u0000 \"quoted\" 'and' \\", "size": 2**63, "of": [1.5, None, True]}
    number = append(engine, "provider", 3, NOW, odd)
    with engine.connect().execution_options(is_read=True) as connection:
        row = connection.execute(select(tables.inbox)).mappings().one()
    assert (row["id"], row["kind"], row["actor"], row["at"]) == (number, "provider", 3, NOW)
    assert json.loads(row["body"]) == odd


def test_half_a_character_is_refused_and_nothing_is_written(engine: Engine) -> None:
    with pytest.raises(UnicodeEncodeError):
        append(engine, "provider", 0, NOW, {"name": "\ud800"})
    assert rows_in(engine) == 0


def test_a_row_is_looked_up_with_others_and_one_that_is_not_there_is_absent(
    engine: Engine,
) -> None:
    taken = append(engine, "provider", 0, NOW, {"name": "lab"})
    Decider(engine).decide()
    waits = append(engine, "provider", 0, NOW, {"name": "west"})
    found = waited_many(engine, [taken, waits, 999])
    assert {number: each.is_taken for number, each in found.items()} == {taken: True, waits: False}
    assert found[taken].answer is not None
    with pytest.raises(KeyError):
        waited(engine, 999)


def test_an_append_whose_commit_was_not_heard_of_is_not_appended_twice(
    postgres_engine: Engine,
) -> None:
    """The session is cut right after its commit, before the answer comes."""
    engine, cuts = postgres_engine, threading.Semaphore(1)

    def cut(connection: Connection) -> None:
        if cuts.acquire(blocking=False):
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.commit()
            raw.close()

    event.listen(engine, "commit", cut)
    number = append(engine, "provider", 0, NOW, {"name": "lab"})
    assert not cuts.acquire(blocking=False)
    assert rows_in(engine) == 1
    assert append(engine, "provider", 0, NOW, {"name": "west"}) != number
    assert rows_in(engine) == 2


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
