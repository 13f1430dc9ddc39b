"""The decider: take inbox rows, let the river flow, commit, again."""

import logging
import threading
import time

from sqlalchemy import Engine, func, select

from intertie.control.clock import SteadyClock
from intertie.control.wake import Wake
from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.store import tables
from intertie.store.committing import commit_round, lay_aside
from intertie.store.loading import load_policy, load_world, waiting_inbox
from intertie.world.world import World

ROWS_MAX = 1000
TICK_S = 1.0
log = logging.getLogger("intertie.decider")


class Decider:
    """Holds the World between rounds; after a failed commit it is dropped and loaded again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._world: World | None = None
        with engine.connect().execution_options(is_read=True) as connection:
            self.policy: Policy = load_policy(connection)
            last = connection.execute(select(func.max(tables.round_.c.at))).scalar()
        self._round = 0
        self._rows_max = ROWS_MAX
        self._clock = SteadyClock(last or 0)

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
        begun = time.perf_counter_ns()
        try:
            changes = flow(world, inbox, self.policy, now)
        except Exception as error:
            if not inbox:
                raise
            return self._quarantine(inbox, error)
        took_us = (time.perf_counter_ns() - begun) // 1000
        if inbox or changes:
            with self._engine.begin() as connection:
                number = self._round + 1
                commit_round(connection, number, now, inbox, changes, world.balances, took_us)
            self._round += 1
        self._world = world
        return len(inbox) if inbox or changes else -1

    def _quarantine(self, inbox: list[InboxRow], error: Exception) -> int:
        """Find the row that no round can take, and lay it aside: one row must not stop the network.

        It is our mistake, and is logged as one. Rows are taken singly until it is found.
        """
        if len(inbox) > 1:
            self._rows_max = 1
            return 0
        log.error("inbox row %d (%s) is laid aside", inbox[0].id, inbox[0].kind, exc_info=error)
        lay_aside(self._engine, inbox[0].id, Refusal("internal_error", {"row": inbox[0].id}))
        self._rows_max = ROWS_MAX
        return 1

    def _load(self) -> None:
        """Begin again from the store: whether a commit that failed is there, only it knows."""
        self._world = load_world(self._engine)
        with self._engine.connect().execution_options(is_read=True) as connection:
            self._round = connection.execute(select(func.max(tables.round_.c.number))).scalar() or 0


def run(engine: Engine, wake: Wake, should_stop: threading.Event) -> None:
    """Decide until told to stop: at once when something was appended, else each second."""
    decider = Decider(engine)
    while not should_stop.is_set():
        seen = wake.seen()
        if decider.decide() >= 0:
            wake.poke()
            continue
        wake.wait(seen, TICK_S)
