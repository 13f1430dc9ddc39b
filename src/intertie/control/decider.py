"""The decider: follow until the leadership is ours; take inbox rows, let the river flow, commit."""

import fcntl
import gc
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from intertie.control.clock import SteadyClock
from intertie.control.leadership import Deposed, Renewing, check, release, take
from intertie.control.logs import log
from intertie.control.metrics import ROUNDS_FAILED
from intertie.control.wake import Wake
from intertie.control.watching import Watch
from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.store import tables
from intertie.store.committing import commit_round, lay_aside
from intertie.store.loading import load_policy, load_world, waiting_inbox
from intertie.store.operations import keep_board
from intertie.store.pruning import prune
from intertie.world.world import World

LOCK = "decider.lock"
ROWS_MAX = 1000
TICK_S = 1.0
FOLLOW_S = 0.25
AWAY_S = 0.5
PRUNE_EVERY_MS = 60_000


class Decider:
    """Holds the World between rounds; after a failed commit it is dropped and loaded again.

    It decides under `term`. Without one it takes the leadership at once, whoever has it.
    """

    def __init__(self, engine: Engine, term: int | None = None) -> None:
        self._engine = engine
        self._world: World | None = None
        self.watch = Watch(engine)
        taken = take(engine, _name(), is_sure=True) if term is None else term
        assert taken is not None, "who is sure gets it"
        self.term = taken
        with engine.connect().execution_options(is_read=True) as connection:
            self.policy: Policy = load_policy(connection)
            last = connection.execute(select(func.max(tables.round_.c.at))).scalar()
        self._round = 0
        self._rows_max = ROWS_MAX
        self._clock = SteadyClock(last or 0)
        self._pruned, self._prune_at = 0, 0

    def prepare(self) -> None:
        """Load the World before the first round, and spare the collector from walking it."""
        self._load()
        gc.collect()
        gc.freeze()

    def decide(self) -> int:
        """Run one round and return how many inbox rows it took; -1 when nothing changed."""
        if self._world is None:
            self._load()
        assert self._world is not None
        with self._engine.connect().execution_options(is_read=True) as connection:
            inbox = waiting_inbox(connection, self._rows_max)
        world, now = self._world, self._clock.now()
        # Until the commit the World is a working copy: whatever goes wrong, it is not kept.
        self._world = None
        self.watch.begin()
        try:
            changes = flow(world, inbox, self.policy, now, self.watch.step)
        except Exception as error:
            if not inbox:
                raise
            return self._quarantine(inbox, error)
        took_us = self.watch.decided()
        if inbox or changes:
            with self._engine.begin() as connection:
                check(connection, self.term)
                number = self._round + 1
                commit_round(connection, number, now, inbox, changes, world.balances, took_us)
            self._round += 1
            self.watch.committed(self._round, inbox, changes)
        self._world = world
        return len(inbox) if inbox or changes else -1

    def look(self) -> None:
        """Count every few seconds what there is, and tell operators; nothing depends on it."""
        said = self.watch.look(self._world) if self._world is not None else None
        if said is not None:
            with self._engine.begin() as connection:
                check(connection, self.term)
                keep_board(connection, said)

    def prune(self) -> None:
        """Drop a portion of what the inbox need not keep; for when there is nothing to decide."""
        before = self._clock.now() - self.policy.keep_inbox_s * 1000
        if before < self._prune_at:
            return
        with self._engine.begin() as connection:
            check(connection, self.term)
            after = prune(connection, before, self._pruned)
        self._pruned = after or self._pruned
        # Rows grow old one by one: once all of today's are gone, one look a minute is enough.
        self._prune_at = before if after else before + PRUNE_EVERY_MS

    def _quarantine(self, inbox: list[InboxRow], error: Exception) -> int:
        """Find the row that no round can take, and lay it aside: one row must not stop the network.

        It is our mistake, and is logged as one. Rows are taken singly until it is found.
        """
        if len(inbox) > 1:
            self._rows_max = 1
            return 0
        log.error("inbox row laid aside", inbox=inbox[0].id, kind=inbox[0].kind, exc_info=error)
        ROUNDS_FAILED.labels("laid_aside").inc()
        with self._engine.begin() as connection:
            check(connection, self.term)
            lay_aside(connection, inbox[0].id, Refusal("internal_error", {"row": inbox[0].id}))
        self._rows_max = ROWS_MAX
        return 1

    def _load(self) -> None:
        """Begin again from the store: whether a commit that failed is there, only it knows."""
        self._world = load_world(self._engine)
        with self._engine.connect().execution_options(is_read=True) as connection:
            self._round = connection.execute(select(func.max(tables.round_.c.number))).scalar() or 0


def run(
    engine: Engine,
    wake: Wake,
    should_stop: threading.Event,
    beside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Follow until nobody else leads, then decide until deposed, and so on until told to stop.

    What is done `beside` the rounds, such as the courier's work, is done only while this leads.
    A database that is away is waited for. On SQLite, where only processes of one machine decide, a
    lock on a file beside the database tells at once that a leader is gone.
    """
    holder = _name()
    with _alone(engine, should_stop) as is_alone:
        while not should_stop.is_set():
            try:
                term = take(engine, holder, is_sure=is_alone)
                if term is None:
                    should_stop.wait(FOLLOW_S)
                else:
                    with beside():
                        _lead(engine, term, wake, should_stop)
            except Deposed:
                log.warning("another process leads: this one follows")
                ROUNDS_FAILED.labels("deposed").inc()
            except DBAPIError as error:
                log.warning("the database failed, to be asked again", reason=str(error.orig))
                ROUNDS_FAILED.labels("database").inc()
                should_stop.wait(AWAY_S)


def _lead(engine: Engine, term: int, wake: Wake, should_stop: threading.Event) -> None:
    """Decide at once when something was appended, else each second."""
    decider = Decider(engine, term)
    with Renewing(engine, term) as renewing, decider.watch.leading(term):
        decider.prepare()
        while not should_stop.is_set():
            renewing.still_there()
            decider.look()
            seen = wake.seen()
            if decider.decide() >= 0:
                wake.poke()
                continue
            decider.prune()
            wake.wait(seen, TICK_S)
    release(engine, term)


@contextmanager
def _alone(engine: Engine, should_stop: threading.Event) -> Iterator[bool]:
    """Yield True while a lock says that nobody else decides, False where there is no such lock."""
    if engine.dialect.name != "sqlite":
        yield False
        return
    with Path(engine.url.database or "").with_name(LOCK).open("w") as lock:
        while not _locked(lock) and not should_stop.wait(FOLLOW_S):
            pass
        yield True


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name() -> str:
    """Return a name that no other process has, nor the next one under this process's id."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
