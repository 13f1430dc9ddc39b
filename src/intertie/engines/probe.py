"""What the conformance kit is written in: a small job, and looks that wait for a condition."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from intertie.engines.protocol import Engine, Observed
from intertie.model.units import GIB, MIB
from intertie.wire.sync import LeaseBody

T = TypeVar("T")


class EngineProbe:
    """Starts small jobs on any engine and waits until it says what it should."""

    # How long the engine may take until a start, a stop or an end is seen, in seconds.
    WITHIN_S = 90.0

    def a_body(
        self, code: str = "", *, lasts_ms: int = 0, exit_code: int = 0, **known: Any
    ) -> LeaseBody:
        """Return a small job that runs `code` by `sh`; the fake engine reads its environment."""
        plain = {
            "job": "job-0001",
            "task_index": 0,
            "attempt": 1,
            "project": "lab",
            "name": "conformance",
            "command": ["sh", "-c", code],
            "script": "",
            "workdir": "",
            "environment": {"WORK_MS": str(lasts_ms), "EXIT_CODE": str(exit_code)},
            "cpus_milli": 500,
            "memory_bytes": 128 * MIB,
            "disk_bytes": GIB,
            "time_limit_s": 600,
            "network": False,
            "requires": [],
            "results": [],
            "attempt_token": "attempt-token",
        }
        return LeaseBody.model_validate(plain | known)

    def run(self, engine: Engine, lease: str, body: LeaseBody, token: int = 1) -> Observed:
        """Start an attempt and return it when it is over."""
        engine.start(lease, token, body)
        return self.until_over(engine, lease, token)

    def see(self, engine: Engine, lease: str, token: int = 1) -> Observed | None:
        """Return one attempt as the engine sees it; None if it does not."""
        found = [seen for seen in engine.observe() if (seen.lease, seen.token) == (lease, token)]
        assert len(found) <= 1, found
        return found[0] if found else None

    def until_over(self, engine: Engine, lease: str, token: int = 1) -> Observed:
        """Return the attempt when it is over, and nothing more of it is to come."""
        return self.until_state(engine, lease, "over", token)

    def until_state(self, engine: Engine, lease: str, state: str, token: int = 1) -> Observed:
        """Return the attempt when it is in a state; fails if it is over before."""

        def holds() -> Observed | None:
            seen = self.see(engine, lease, token)
            assert seen is None or seen.state in (state, "pending", "running"), seen
            return seen if seen and seen.state == state and seen.is_final else None

        return self.until(engine, holds, state)

    def until_change(self, engine: Engine, lease: str, token: int = 1) -> Observed:
        """Return the attempt after the engine's next word of a change, or a moment."""
        engine.wait(0.2)
        return self.until(engine, lambda: self.see(engine, lease, token), "to be seen")

    def work(self, engine: Engine, lease: str, token: int = 1) -> Path:
        """Return the attempt's working folder."""
        return engine.folder(lease, token) / "work"

    def log(self, engine: Engine, lease: str, token: int = 1) -> bytes:
        with suppress(FileNotFoundError):
            return (engine.folder(lease, token) / "log").read_bytes()
        return b""

    def read(self, engine: Engine, lease: str, name: str) -> bytes:
        return (self.work(engine, lease) / name).read_bytes()

    def until_up(self, engine: Engine, lease: str) -> None:
        self.until(engine, (self.work(engine, lease) / "up").exists, "the program to be up")

    def until(
        self,
        engine: Engine,
        holds: Callable[[], T | None],
        what: str,
        pause: Callable[[], None] | None = None,
    ) -> T:
        deadline = time.monotonic() + self.WITHIN_S
        while not (found := holds()):
            assert time.monotonic() < deadline, f"never came: {what}: {engine.observe()}"
            (pause or partial(engine.wait, 0.1))()
        return found

    def clean(self, engine: Engine) -> None:
        """Stop and forget all that there is."""

        def are_over() -> bool:
            alive = [seen for seen in engine.observe() if seen.state != "over"]
            for seen in alive:
                engine.stop(seen.lease, seen.token, "cancelled", 0)
            return not alive

        self.until(engine, are_over, "everything over")
        for seen in engine.observe():
            engine.forget(seen.lease, seen.token)


def pause() -> None:
    """Wait a moment where no engine is there to wait with."""
    time.sleep(0.05)
