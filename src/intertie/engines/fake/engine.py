"""The fake engine behind the Engine protocol: one small file for each attempt is its memory."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Condition

from intertie.engines.fake.attempts import (
    NEVER,
    FakeAttempt,
    begin,
    never,
    observed,
    told_to_stop,
)
from intertie.engines.protocol import EngineFacts, Observed, Room
from intertie.engines.registry import EngineSettings
from intertie.model.parties import NodeFacts
from intertie.model.units import MILLI
from intertie.wire.sync import LeaseBody

Name = tuple[str, int]


def now_ms() -> int:
    """Return this instant in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class FakeSettings:
    """What the engine pretends to be. Its folder outlives it, and so do its attempts."""

    folder: Path
    nodes: tuple[NodeFacts, ...]
    score_millionths: int = 1_000_000
    startup_ms: int = 0


class FakeEngine:
    """Lets time pass for attempts; implements `Engine`. Deterministic under a given clock."""

    def __init__(self, settings: FakeSettings, clock: Callable[[], int] = now_ms) -> None:
        self.settings, self._clock = settings, clock
        self._changed = Condition()
        self._attempts: dict[Name, FakeAttempt] = {}
        self._promised: dict[Name, int] = {}
        self._session = settings.folder / "session"
        self._session_ends_at = NEVER
        with suppress(OSError):
            self._session_ends_at = int(self._session.read_text(encoding="utf-8"))
        for path in settings.folder.glob("*/spec.json"):
            known = FakeAttempt(**json.loads(path.read_text(encoding="utf-8")))
            self._attempts[known.lease, known.token] = known

    def facts(self) -> EngineFacts:
        return EngineFacts("fake", self.settings.nodes, (), ("sandbox", "network_off", "gangs"), ())

    def room(self) -> Room | None:
        return None

    def waits(self) -> dict[str, int]:
        return {}

    def folder(self, lease: str, token: int) -> Path:
        return self.settings.folder / f"{lease}-{token}"

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Start the attempt unless it was started or withdrawn before."""
        own = self.settings
        with self._changed:
            if (lease, token) not in self._attempts:
                now = self._clock()
                new = begin(lease, token, body, now, own.score_millionths, own.startup_ms)
                self._keep(replace(new, until=self._promised.pop((lease, token), NEVER)))

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        with self._changed:
            self._live()
            until = self._clock() + left_ms
            known = self._attempts.get((lease, token))
            if known is None:
                self._promised[lease, token] = until
            elif known.ends_at > self._clock():
                self._keep(replace(known, until=until))

    def renew(self, left_ms: int) -> None:
        with self._changed:
            self._live()
            self._session_ends_at = self._clock() + left_ms
            self._session.parent.mkdir(parents=True, exist_ok=True)
            self._session.write_text(str(self._session_ends_at), encoding="utf-8")

    def wait(self, timeout_s: float) -> None:
        """Return at the next instant at which an attempt changes, when woken, or after a time."""
        with self._changed:
            now = self._clock()
            instants = [at for each in self._attempts.values() for at in self._instants(each)]
            next_at = min((at for at in instants if at > now), default=NEVER)
            self._changed.wait(min(timeout_s, (next_at - now) / MILLI))

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        """Stop an attempt; one that is known and was not started can never start."""
        with self._changed:
            self._live()
            now, known = self._clock(), self._attempts.get((lease, token))
            if known is not None:
                self._keep(told_to_stop(known, cause, grace_s, now))
            elif (lease, token) in self._promised or self.folder(lease, token).is_dir():
                self._keep(never(lease, token, cause, now))

    def observe(self) -> list[Observed]:
        with self._changed:
            self._live()
            now = self._clock()
            return [observed(each, now) for _, each in sorted(self._attempts.items())]

    def forget(self, lease: str, token: int) -> None:
        with self._changed:
            self._live()
            known = self._attempts.get((lease, token))
            if known is not None and known.ends_at > self._clock():
                return
            self._attempts.pop((lease, token), None)
            self._promised.pop((lease, token), None)
        shutil.rmtree(self.folder(lease, token), ignore_errors=True)

    def listen(self) -> None:
        """Do nothing: changes come by the clock, and `wait` knows their instants."""

    def close(self) -> None:
        """Do nothing: what runs, runs on by the clock."""

    def _live(self) -> None:
        """Fix what has ended by now: no later word brings it back."""
        now = self._clock()
        for each in list(self._attempts.values()):
            ended = each.as_it_ends(self._session_ends_at)
            if ended is not each and ended.ends_at <= now:
                self._keep(ended)

    def _instants(self, each: FakeAttempt) -> tuple[int, int]:
        return each.starts_at, each.as_it_ends(self._session_ends_at).ends_at

    def _keep(self, each: FakeAttempt) -> None:
        self._attempts[each.lease, each.token] = each
        folder = self.folder(each.lease, each.token)
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / "spec.new"
        new.write_text(json.dumps(asdict(each)), encoding="utf-8")
        new.replace(folder / "spec.json")
        self._changed.notify_all()


def open_engine(own: EngineSettings) -> FakeEngine:
    """Return an engine that pretends to be one machine of the sizes in the settings."""
    told = dict(own.table)
    score = int(told.pop("score_millionths", 1_000_000))
    startup_ms = int(told.pop("startup_ms", 0))
    if told:
        raise ValueError(
            f"{sorted(told)[0]}: no such setting; there is score_millionths, startup_ms"
        )
    sizes = (own.cpus_milli or 8000, own.memory_bytes or 16 << 30, own.disk_bytes or 100 << 30)
    node = NodeFacts("fake", *sizes)
    return FakeEngine(FakeSettings(own.folder, (node,), score, startup_ms))
