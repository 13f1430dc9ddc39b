"""The deciders as processes: they decide, die, stand still, and are started again."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from sqlalchemy import ColumnElement, Connection, literal
from sqlalchemy.exc import DBAPIError

from intertie.control import leadership
from intertie.control.decider import Decider
from intertie.control.leadership import Deposed, renew, take
from tests.simulation.clockwork import Clockwork, Fiber, Flag
from tests.simulation.faulty_store import FaultyStore, Killed

TICK_S = 1.0
FOLLOW_MS, RENEW_MS, AWAY_MS = 250, 500, 500


@contextmanager
def on_simulated_leadership(clock: Clockwork) -> Iterator[None]:
    """Let terms run by the simulated clock; it is the database's own, and never jumps."""

    def now_ms(_: Connection) -> ColumnElement[int]:
        return literal(clock.now)

    with patch.object(leadership, "_now_ms", now_ms):
        yield


class DeciderProcess:
    """One decider. It ends when it is killed or the store fails it; `ended` starts the next."""

    def __init__(
        self,
        clock: Clockwork,
        name: str,
        url: str,
        chance: Random,
        committed: Callable[[], None],
        ended: Callable[["DeciderProcess"], None],
    ) -> None:
        self.clock, self.chance = clock, chance
        self.committed, self.ended = committed, ended
        self.store = FaultyStore(url, self._stand_still)
        self.poked = Flag(clock)
        self.is_resting = False
        self.is_standing_still = False
        self.ends: Counter[str] = Counter()
        self.rounds = 0
        self.is_leading = False
        self.name = name
        self.fiber: Fiber = clock.spawn(self.name, self._run)
        self.renewing: Fiber | None = None

    def kill(self) -> None:
        """Kill it between two turns."""
        self.fiber.kill()
        if self.renewing is not None:
            self.renewing.kill()
        self.store.close()

    def _run(self) -> None:
        """What `control.decider.run` does: follow, lead until deposed, wait for the store."""
        try:
            while True:
                self.is_leading = self.is_resting = False
                try:
                    term = take(self.store.engine, self.name)
                    if term is None:
                        self.clock.sleep(FOLLOW_MS)
                    else:
                        self._lead(term)
                except Deposed:
                    self.ends["deposed"] += 1
                except DBAPIError:
                    self.ends["store failed"] += 1
                    self.clock.sleep(AWAY_MS)
        except Killed:
            self.ends["killed"] += 1
        self.kill()
        self.ended(self)

    def _lead(self, term: int) -> None:
        self.is_leading = True
        self.renewing = self.clock.spawn("renewing", lambda: self._renew(term))
        try:
            decider = Decider(self.store.engine, term)
            while True:
                self._decide(decider)
        finally:
            self.renewing.kill()

    def _decide(self, decider: Decider) -> None:
        self.is_resting = False
        self.poked.clear()
        if decider.decide() >= 0:
            self.rounds += 1
            self.committed()
            self.clock.sleep(self.chance.randrange(1, 200))
            return
        decider.prune()
        self.is_resting = True
        self.poked.wait(TICK_S)
        self.clock.sleep(self.chance.randrange(1, 100))

    def _renew(self, term: int) -> None:
        """What the thread of `Renewing` does; it stands still when the process does."""
        while True:
            self.clock.sleep(RENEW_MS)
            if not self.is_standing_still:
                try:
                    renew(self.store.engine, term)
                except Deposed:
                    return
                except DBAPIError:
                    continue
                except Killed:
                    self.ends["killed"] += 1
                    self.kill()
                    self.ended(self)

    def _stand_still(self) -> None:
        """The machine stops it here for a while: between what it has read and what it commits."""
        self.is_standing_still = True
        self.clock.sleep(self.chance.randrange(200, 20_000))
        self.is_standing_still = False
