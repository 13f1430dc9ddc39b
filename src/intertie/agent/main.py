"""The agent: one process for one pool. It joins, then keeps the exchange going until told to stop.

Five kinds of threads: this one watches the engine and the owner; one asks what the site has for
guests; one holds the long poll; one tells news at once; a few carry the attempts. Jobs run under
shims and need none.
"""

import fcntl
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from itertools import count
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread
from typing import Any, TypeVar

from intertie.agent import joining, owner, policy
from intertie.agent.attempt import Attempt
from intertie.agent.book import Book, Name, Record
from intertie.agent.carriers import Carriers
from intertie.agent.door import Door, Refused, Unreachable
from intertie.agent.journal import Journal
from intertie.agent.key import load_key
from intertie.agent.log import event, know, start_logging
from intertie.agent.session import Session
from intertie.agent.settings import AgentSettings
from intertie.agent.steady import REST_FACTOR, Steady
from intertie.engines.protocol import EngineFacts, EngineUnavailable, Room
from intertie.wire.sync import LeaseBody, PoolBody

STOPPED, BROKEN, REFUSED, FENCED_OUT, BUSY = 0, 1, 2, 3, 4
ENDS_WITH = {"fenced_out": FENCED_OUT, "agent_left": REFUSED}
WATCH_S = 0.5
LOCK = "lock"
LOCK_WAIT_S = 15.0
RECLAIM_WAIT_S = 2.0  # for the network's own stops; then the owner's will is done without it
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
T = TypeVar("T")


def run(settings: AgentSettings) -> int:
    """Speak for the pool until SIGTERM, or until a newer agent does; jobs run on either way.

    Return 0 when asked to stop, 2 when the network refuses to enrol it, 3 when fenced out, 4
    when another agent holds the folder.
    """
    start_logging(settings.pool)
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    agent = Agent(settings)
    if current_thread() is main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: agent.stop())
    try:
        return agent.run()
    finally:
        agent.close()


def is_running(folder: Path) -> bool:
    """Return whether an agent holds a folder now."""
    with suppress(FileNotFoundError), (folder / LOCK).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Agent:
    """Everything one agent holds."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.stopping = Event()
        self.news = Event()
        self.exit_code = STOPPED
        self.door = Door(settings.network, load_key(settings.folder), settings.fingerprint)
        self.engine, self.facts = _opened(settings)
        self.terms = joining.lent_terms(settings, self.facts)
        self.book = Book(Journal(settings.folder / "journal.jsonl"))
        self.agent = ""
        self.told: object = None
        self.too_much_since = 0.0
        self.carriers = Carriers()
        self._lock_file = -1

    def run(self) -> int:
        """Join, adopt what an earlier agent left, then watch until stopped."""
        try:
            session, pool = self._join()
        except Refused as no:
            event("the network refuses this agent", reason=no)
            return REFUSED
        except Stopped:
            return self.exit_code
        if not self._lock():
            event("another agent holds the folder", folder=self.settings.folder)
            return BUSY
        self._adopt()
        for loop in (self._poll, self._tell, self._survey):
            Thread(target=self._guard, args=(loop, session, pool), daemon=True).start()
        self._watch()
        event("agent stops", exit_code=self.exit_code, running=len(self._holding()))
        return self.exit_code

    def stop(self) -> None:
        """Leave; jobs run on."""
        self.stopping.set()
        self.news.set()
        self.engine.wake()

    def close(self) -> None:
        """Let go of the folder."""
        self.engine.close()
        self.book.journal.close()
        if self._lock_file >= 0:
            os.close(self._lock_file)

    def _join(self) -> tuple[Session, PoolBody]:
        """Enrol if need be, measure, open a session: from here on an older agent is fenced out."""
        self.agent = self._patiently(lambda: joining.enrolled_id(self.settings, self.door))
        know(agent=self.agent)
        score = joining.score(self.settings)
        pool = joining.pool_body(self.settings, self.facts, self.terms, score)
        session = Session(
            self.door, self.agent, self.book, self.engine, self._lent, self._admits, self._carry
        )
        self._patiently(lambda: session.open(pool))
        return session, pool

    def _patiently(self, act: Callable[[], T]) -> T:
        """Return what an exchange gives, however long the network is away."""
        tries = 0
        while not self.stopping.is_set():
            try:
                return act()
            except Unreachable as error:
                tries = self._back_off(tries, error)
        raise Stopped

    def _back_off(self, tries: int, reason: Exception) -> int:
        """Wait a little, not as long as every other agent does, and as long as is asked."""
        if tries % 20 == 0:
            event("network away, jobs run on", reason=reason)
        pause_s = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
        asked_s = reason.retry_after_s if isinstance(reason, Unreachable) else 0.0
        self.stopping.wait(max(pause_s, asked_s) * random.uniform(1.0, 1.5))
        return tries + 1

    def _lock(self) -> bool:
        """Take the folder, once the agent that was fenced out has let go of it."""
        path = self.settings.folder / LOCK
        self._lock_file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + LOCK_WAIT_S
        while time.monotonic() < until and not self.stopping.is_set():
            with suppress(BlockingIOError):
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.engine.listen()
                return True
            self.stopping.wait(0.05)
        return False

    def _adopt(self) -> None:
        """Take up what an earlier agent promised; what runs already is not started again."""
        with self.book.changed:
            self.book.load()
            self.book.see(self.engine.observe())
            for record in self.book.records.values():
                if record.stop and not record.ended:  # it may have been killed before it said so
                    self.engine.stop(record.lease, record.token, *record.stop)
                if record.ended and record.seen and record.seen.state != "over":
                    self.engine.stop(record.lease, record.token, "superseded", 0)
                if record.body and not record.ended and not record.declined:
                    self._carry(record)

    def _guard(self, loop: Callable[[Session, PoolBody], None], *known: Any) -> None:
        """Run a loop; if it breaks, the agent ends rather than go on with half of itself."""
        try:
            loop(*known)
        except Exception as error:
            event("the agent broke", reason=repr(error))
            self.exit_code = BROKEN
            self.stop()
            raise

    def _poll(self, session: Session, pool: PoolBody) -> None:
        """Hold the long poll."""
        tries = 0
        while not self.stopping.is_set():
            try:
                if not session.is_open:
                    session.open(pool)
                wait_s = session.next_poll_ms / 1000
                begun = time.monotonic()
                if session.exchange(session.next_poll_ms) and wait_s:
                    # Nothing new, and yet it may have come at once: keep the pace that was asked.
                    early_s = wait_s / 2 - (time.monotonic() - begun)
                    self.stopping.wait(min(1.0, max(0.0, early_s)))
                tries = 0
            except Unreachable as error:
                tries = self._back_off(tries, error)
            except Refused as no:
                self._on_refused(session, no)
                tries = self._back_off(tries or 1, no)

    def _tell(self, session: Session, _pool: PoolBody) -> None:
        """Tell news at once; the network then answers the waiting poll too."""
        while not self.stopping.is_set():
            self.news.wait()
            self.news.clear()
            if self.stopping.is_set() or not session.is_open:
                continue  # the session that opens next begins with everything
            try:
                session.exchange(0)
            except Unreachable as error:
                self.stopping.wait(max(0.2, error.retry_after_s))
                self.news.set()
            except Refused as no:
                self._on_refused(session, no)

    def _survey(self, _session: Session, _pool: PoolBody) -> None:
        """Keep what the engine has for guests up to date."""
        while not self.stopping.wait(WATCH_S):
            self.engine.survey()

    def _on_refused(self, session: Session, no: Refused) -> None:
        event("the network refuses", reason=no)
        if no.code in ENDS_WITH:
            self.exit_code = ENDS_WITH[no.code]
            self.stop()
        elif no.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            session.close()  # it knows no such session: begin another

    def _watch(self) -> None:
        """See what the engine sees, as soon as it does, and keep to the owner's will."""
        while not self.stopping.is_set():
            self.engine.wait(WATCH_S)
            observed = self.engine.observe()
            with self.book.changed:
                news = self.book.see(observed)
                self._enforce_owner()
                now = self._states(), replace(self._lent(), waits_s={})
            self.carriers.hurry(news)
            if now != self.told:
                self.told = now
                self.news.set()
            if owner.is_leaving(self.settings.folder) and not self.book.records:
                self._leave()

    def _leave(self) -> None:
        """Leave the network if it agrees that nothing runs; else it is asked again."""
        try:
            self.door.leave(self.agent)
        except Unreachable as error:
            event("network away, leaving waits", reason=error)
            self.stopping.wait(max(1.0, error.retry_after_s))
            return
        except Refused as no:
            if no.code != "agent_left":  # which says that an earlier answer was lost
                event("leaving waits", reason=no)
                self.stopping.wait(1.0)
                return
        joining.forget(self.settings.folder)
        event("left the network")
        self.stop()

    def _states(self) -> dict[Name, str]:
        records = self.book.records.values()
        return {record.name: record.declined or record.state for record in records}

    def _enforce_owner(self) -> None:
        """Stop the latest leases that no longer fit, if the network has not done so by now."""
        staying = [record for record in self._holding() if not record.stop]
        evicted = policy.to_reclaim(staying, self._will())
        if not evicted:
            self.too_much_since = 0.0
            return
        self.too_much_since = self.too_much_since or time.monotonic()
        if time.monotonic() - self.too_much_since < RECLAIM_WAIT_S:
            return
        for record in evicted:
            event("the owner takes back", lease=record.lease, job=record.job)
            self.book.order_stop(record, "reclaimed", self.settings.grace_s)
            self.engine.stop(record.lease, record.token, "reclaimed", self.settings.grace_s)

    def _lent(self) -> owner.Lent:
        """Return what the network is told: the owner's will, and what the site has room for."""
        folder = self.settings.folder
        room = policy.room_with_guests(self.engine.room(), self._held())
        lent = self._will(room)
        is_draining = owner.is_leaving(folder)
        return replace(lent, is_draining=is_draining, waits_s=self.engine.waits())

    def _will(self, room: Room | None = None) -> owner.Lent:
        order, now = owner.read_reclaim(self.settings.folder), int(time.time() * 1000)
        return policy.lent_now(self.terms, self.settings.windows, room, order, now)

    def _admits(self, body: LeaseBody) -> str:
        guests, abilities = self.settings.guests, self.facts.abilities
        return policy.why_not(body, self._held(), self._lent(), abilities, guests)

    def _held(self) -> list[LeaseBody]:
        return [record.body for record in self._holding() if record.body]

    def _holding(self) -> list[Record]:
        return [record for record in self.book.records.values() if record.holds_room]

    def _carry(self, record: Record) -> None:
        beside = self.carriers.__len__
        attempt = Attempt(record, self.book, self.engine, self.door, self.agent, beside)
        self.carriers.carry(record.name, attempt.steps())


def _opened(settings: AgentSettings) -> tuple[Steady, EngineFacts]:
    """Return the owner's engine and what it has, however long it is away."""
    rest_factor = 0 if settings.engine == "host" else REST_FACTOR
    for tries in count():
        try:
            engine = Steady(joining.open_engine(settings), rest_factor)
            return engine, joining.offered(settings, engine.facts())
        except EngineUnavailable as error:
            if tries % 20 == 0:
                event("engine away", engine=settings.engine, reason=error)
            time.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
    raise AssertionError("it is tried until it answers")


class Stopped(Exception):
    """The agent was told to leave while it waited."""
