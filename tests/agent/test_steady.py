"""An engine that is away decides nothing: what it was asked is owed, what it said still stands."""

import time
from pathlib import Path

import pytest

from intertie.agent import steady
from intertie.agent.attempt import Attempt
from intertie.agent.book import Book
from intertie.agent.door import Door
from intertie.agent.journal import Journal
from intertie.agent.key import load_key
from intertie.agent.steady import Steady
from intertie.engines.protocol import EngineFacts, EngineUnavailable, Observed, Room
from intertie.wire.sync import LeaseBody
from tests.engines.hosting import a_body

SEEN = Observed("lease-0001", 1, "running")


class Site:
    """An engine that may be cut off; it notes what reached it. Its looks cost time."""

    def __init__(self) -> None:
        self.is_away = False
        self.now_s = 100.0
        self.look_s = 0.0
        self.done: list[tuple[object, ...]] = []
        self.seen = [SEEN]

    def clock(self) -> float:
        return self.now_s

    def note(self, *what: object) -> None:
        if self.is_away:
            raise EngineUnavailable("cut off")
        self.done.append(what)

    def facts(self) -> EngineFacts:
        return EngineFacts("site", (), (), (), ())

    def room(self) -> Room | None:
        self.note("room")
        return Room(len(self.done), 1)

    def waits(self) -> dict[str, int]:
        return {"n": 7}

    def folder(self, lease: str, token: int) -> Path:
        return Path(lease)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        self.note("start", lease)

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        self.note("extend", lease, left_ms)

    def renew(self, left_ms: int) -> None:
        self.note("renew", left_ms)

    def wait(self, timeout_s: float) -> None:
        self.now_s += timeout_s

    def wake(self) -> None: ...

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        self.note("stop", lease, cause, grace_s)

    def observe(self) -> list[Observed]:
        self.note("observe")
        self.now_s += self.look_s
        return self.seen

    def forget(self, lease: str, token: int) -> None:
        self.note("forget", lease)

    def listen(self) -> None: ...

    def close(self) -> None: ...

    def told(self, *kinds: str) -> list[tuple[object, ...]]:
        return [each for each in self.done if each[0] in kinds]


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def engine(site: Site) -> Steady:
    return Steady(site, clock=site.clock)


def test_what_was_asked_while_it_was_away_is_done_when_it_is_back(
    site: Site, engine: Steady
) -> None:
    site.is_away = True
    engine.stop("lease-0001", 1, "cancelled", 5)
    engine.forget("lease-0002", 1)
    engine.renew(20_000)
    assert site.done == []
    assert engine.is_away
    site.is_away = False
    site.now_s += steady.AWAY_S[0]
    engine.observe()
    assert site.told("stop", "forget") == [
        ("stop", "lease-0001", "cancelled", 5),
        ("forget", "lease-0002"),
    ]
    assert site.told("renew") == [("renew", 20_000 - int(steady.AWAY_S[0] * 1000))]
    assert not engine.is_away


def test_the_last_word_is_the_one_that_is_owed(site: Site, engine: Steady) -> None:
    site.is_away = True
    engine.stop("lease-0001", 1, "reclaimed", 60)
    engine.stop("lease-0001", 1, "cancelled", 5)
    site.is_away = False
    site.now_s += steady.AWAY_S[-1]
    engine.observe()
    engine.observe()
    assert site.told("stop") == [("stop", "lease-0001", "cancelled", 5)]


def test_what_was_seen_is_seen_still_while_it_is_away(site: Site, engine: Steady) -> None:
    assert engine.observe() == [SEEN]
    site.is_away, site.seen = True, []
    site.now_s += 1
    assert engine.observe() == [SEEN]
    assert engine.room() == Room(1, 1)
    assert engine.waits() == {"n": 7}


def test_who_is_away_is_asked_ever_more_seldom(site: Site, engine: Steady) -> None:
    site.is_away = True
    asked = []
    note = site.note

    def noted(*what: object) -> None:
        asked.append(site.now_s)
        note(*what)

    site.note = noted  # type: ignore[method-assign]
    for _ in range(600):
        engine.observe()
        site.now_s += 0.1
    assert 5 <= len(asked) <= 2 * len(steady.AWAY_S) + 6


def test_a_start_says_its_end_first_and_is_to_be_repeated(site: Site, engine: Steady) -> None:
    site.is_away = True
    engine.extend("lease-0001", 1, 9_000)
    with pytest.raises(EngineUnavailable):
        engine.start("lease-0001", 1, a_body("true"))
    assert site.done == []
    site.is_away = False
    engine.start("lease-0001", 1, a_body("true"))
    assert [each[0] for each in site.done] == ["extend", "start"]


def an_attempt(site: Site, engine: Steady, folder: Path, left_s: int) -> Attempt:
    """Return an attempt with no inputs; nobody is at its door."""
    site.folder = lambda lease, token: folder / f"{lease}-{token}"  # type: ignore[method-assign]
    book, door = Book(Journal(folder / "journal.jsonl")), Door("http://x", load_key(folder))
    until = int(time.time() * 1000) + left_s * 1000
    record = book.take("lease-0001", 1, until, a_body("true"))
    return Attempt(record, book, engine, door, "agent-0001", lambda: 1)


def test_an_attempt_waits_for_an_engine_that_is_away_and_starts_once(
    site: Site, engine: Steady, tmp_path: Path
) -> None:
    attempt = an_attempt(site, engine, tmp_path, 600)
    site.is_away = True
    steps = attempt.steps()
    assert [next(steps) > 0 for _ in range(3)] == [True] * 3
    assert attempt.record.ended is None
    site.is_away = False
    next(steps)
    assert [each[0] for each in site.told("extend", "start")] == ["extend", "start"]
    attempt.book.journal.close()
    attempt.door.client.close()


def test_an_attempt_that_is_stopped_while_the_engine_is_away_never_starts(
    site: Site, engine: Steady, tmp_path: Path
) -> None:
    attempt = an_attempt(site, engine, tmp_path, 600)
    site.is_away = True
    steps = attempt.steps()
    next(steps)
    attempt.book.order_stop(attempt.record, "cancelled", 0)
    assert list(steps) == []
    assert attempt.record.ended is not None
    assert attempt.record.ended.cause == "cancelled"
    site.is_away = False
    site.now_s += steady.AWAY_S[-1]
    engine.observe()
    assert site.told("start") == []
    assert site.told("stop") == [("stop", "lease-0001", "cancelled", 0)]  # if it began after all
    attempt.book.journal.close()
    attempt.door.client.close()


def test_no_look_waits_for_what_there_is_for_guests_but_the_first(
    site: Site, engine: Steady
) -> None:
    engine.observe()
    site.now_s += 10 * steady.ROOM_S
    engine.observe()
    assert len(site.told("room")) == 1
    engine.survey()
    engine.survey()
    assert len(site.told("room")) == 2


def test_it_rests_after_each_look_in_proportion(site: Site, engine: Steady) -> None:
    site.look_s = 2.0
    for _ in range(1000):
        engine.observe()
        site.now_s += 0.1
    looking_s = len(site.told("observe")) * site.look_s
    assert looking_s <= 100 / steady.REST_FACTOR + site.look_s
    assert len(site.told("observe")) > 5


def test_an_engine_without_rest_is_looked_at_each_time(site: Site) -> None:
    site.look_s = 2.0
    engine = Steady(site, 0, site.clock)
    for _ in range(5):
        engine.observe()
    assert len(site.told("observe")) == 5
