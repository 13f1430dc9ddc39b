"""An engine that may be away, made steady: nothing is decided by its silence.

What it was asked to do meanwhile is owed and done when it answers again; what was seen last is
seen still. It is looked at no more often than it can bear: after each look it rests.
"""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

from intertie.agent.log import event
from intertie.engines.protocol import Engine, EngineFacts, EngineUnavailable, Observed, Room
from intertie.wire.sync import LeaseBody

REST_FACTOR = 1  # so many times as long as a look took, a site's engine is left alone
REST_S_MAX = 60.0
AWAY_S = (0.5, 1.0, 2.0, 5.0, 15.0)
ROOM_S = 2.0  # what was taken by the site's own users for a moment is lent again so soon
Key = tuple[str, str, int]
T = TypeVar("T")


class Steady:
    """Wraps any engine; implements `Engine`. Only `start` and `facts` raise EngineUnavailable."""

    def __init__(
        self,
        engine: Engine,
        rest_factor: float = REST_FACTOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self._rest_factor = rest_factor
        self._clock = clock
        self._lock = Lock()
        self._owed: dict[Key, Callable[[], None]] = {}
        self._seen: list[Observed] = []
        self._room: Room | None = None
        self._waits: dict[str, int] = {}
        self._look_at_s = self._room_at_s = self._ask_at_s = 0.0
        self._failures = 0

    @property
    def is_away(self) -> bool:
        """Return whether the engine did not answer when it was last asked."""
        return self._failures > 0

    def facts(self) -> EngineFacts:
        return self.engine.facts()

    def room(self) -> Room | None:
        """Return what there was for guests when the engine was looked at."""
        return self._room

    def waits(self) -> dict[str, int]:
        """Return how long a task would have waited when the engine was looked at, by node."""
        return self._waits

    def folder(self, lease: str, token: int) -> Path:
        return self.engine.folder(lease, token)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Start the attempt, its end said first; EngineUnavailable: ask again, which is safe."""
        if not self._pay(("extend", lease, token)):
            raise EngineUnavailable("it is away")
        try:
            self.engine.start(lease, token, body)
        except EngineUnavailable as error:
            self._note_away(error)
            raise

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        ends_s = self._clock() + left_ms / 1000
        self._do(
            ("extend", lease, token),
            lambda: self.engine.extend(lease, token, self._left_ms(ends_s)),
        )

    def renew(self, left_ms: int) -> None:
        ends_s = self._clock() + left_ms / 1000
        self._do(("renew", "", 0), lambda: self.engine.renew(self._left_ms(ends_s)))

    def wait(self, timeout_s: float) -> None:
        """Return when an attempt may have changed and the engine has rested enough."""
        self.engine.wait(timeout_s)
        rest_s = max(self._look_at_s, self._ask_at_s) - self._clock()
        if rest_s > 0:
            time.sleep(min(rest_s, max(timeout_s, 0.0)))

    def wake(self) -> None:
        self.engine.wake()

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        self._do(("stop", lease, token), lambda: self.engine.stop(lease, token, cause, grace_s))

    def observe(self) -> list[Observed]:
        """Return what is seen now, or what was seen last while the engine rests or is away."""
        now_s = self._clock()
        if now_s < max(self._look_at_s, self._ask_at_s):
            return self._seen
        self._settle_up()
        if not self._room_at_s:
            self.survey()  # what is said first is to be true already
        seen = self._asked(self.engine.observe)
        if seen is not None:
            self._seen = seen
            took_s = self._clock() - now_s
            self._look_at_s = self._clock() + min(REST_S_MAX, self._rest_factor * took_s)
        return self._seen

    def forget(self, lease: str, token: int) -> None:
        self._do(("forget", lease, token), lambda: self.engine.forget(lease, token))

    def listen(self) -> None:
        self.engine.listen()

    def close(self) -> None:
        self.engine.close()

    def _left_ms(self, ends_s: float) -> int:
        return max(0, int((ends_s - self._clock()) * 1000))

    def _do(self, key: Key, act: Callable[[], None]) -> None:
        """Do it now, or owe it: a later word of the same kind for the same attempt replaces it."""
        with self._lock:
            must_wait = self._clock() < self._ask_at_s or key in self._owed
            self._owed[key] = act
        if not must_wait:
            self._pay(key)

    def _settle_up(self) -> None:
        """Do what is owed, in the order in which it was asked, until the engine is away again."""
        for key in list(self._owed):
            if not self._pay(key):
                return

    def _pay(self, key: Key) -> bool:
        act = self._owed.get(key)
        if act is None or not self._asked(lambda: (act(), True)):
            return act is None
        with self._lock:
            if self._owed.get(key) is act:
                del self._owed[key]
        return True

    def survey(self) -> None:
        """Ask what there is for guests, if it is time: not where ends of attempts wait for it."""
        now_s = self._clock()
        if now_s < max(self._room_at_s, self._ask_at_s):
            return
        found = self._asked(lambda: (self.engine.room(), self.engine.waits()))
        if found is not None:
            self._room, self._waits = found
            took_s = self._clock() - now_s
            self._room_at_s = self._clock() + min(
                REST_S_MAX, max(ROOM_S, self._rest_factor * took_s)
            )

    def _asked(self, act: Callable[[], T]) -> T | None:
        """Return what the engine says, or None if it is away; then it is left alone for a while."""
        try:
            said = act()
        except EngineUnavailable as error:
            self._note_away(error)
            return None
        if self._failures:
            event("engine back")
        self._failures, self._ask_at_s = 0, 0.0
        return said

    def _note_away(self, error: EngineUnavailable) -> None:
        if not self._failures:
            event("engine away, jobs run on", reason=error)
        self._ask_at_s = self._clock() + AWAY_S[min(self._failures, len(AWAY_S) - 1)]
        self._failures += 1
