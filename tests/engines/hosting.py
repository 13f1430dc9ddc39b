"""Builders for tests of the host engine: a body, an engine that cleans up, waiting by condition."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.engines.protocol import Observed
from intertie.model.units import GIB, MIB
from intertie.wire.sync import LeaseBody

DEADLINE_S = 40.0
LEASE = "lease-0001"


def a_body(*command: str, **known: Any) -> LeaseBody:
    """A small job that runs `command`; what is not said does not matter."""
    plain = {
        "job": "job-0001",
        "task_index": 0,
        "attempt": 1,
        "project": "lab",
        "name": "test",
        "command": list(command),
        "script": "",
        "workdir": "",
        "environment": {},
        "cpus_milli": 1000,
        "memory_bytes": 256 * MIB,
        "disk_bytes": GIB,
        "time_limit_s": 60,
        "network": False,
        "requires": [],
        "results": [],
        "attempt_token": "attempt-token",
    }
    return LeaseBody.model_validate(plain | known)


@contextmanager
def an_engine(folder: Path, **known: Any) -> Iterator[HostEngine]:
    """An engine whose attempts are gone afterwards."""
    engine = HostEngine(HostSettings(folder, **known))
    try:
        yield engine
    finally:
        clean(engine)
        engine.close()


def clean(engine: HostEngine) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while alive := [seen for seen in engine.observe() if seen.state != "over"]:
        assert time.monotonic() < deadline, alive
        for seen in alive:
            engine.stop(seen.lease, seen.token, "cancelled", 0)
        engine.wait(0.2)
    for seen in engine.observe():
        engine.forget(seen.lease, seen.token)


def see(engine: HostEngine, token: int = 1, lease: str = LEASE) -> Observed | None:
    found = [seen for seen in engine.observe() if (seen.lease, seen.token) == (lease, token)]
    return found[0] if found else None


def until(engine: HostEngine, holds: Callable[[], Any], what: str = "") -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never came: {what}: {engine.observe()}"
        engine.wait(0.05)
    return found


def until_state(engine: HostEngine, state: str, token: int = 1) -> Observed:
    def holds() -> Observed | None:
        seen = see(engine, token)
        return seen if seen and seen.state == state else None

    found: Observed = until(engine, holds, state)
    return found


def until_written(engine: HostEngine, path: Path) -> str:
    text: str = until(engine, lambda: path.exists() and path.read_text(), str(path))
    return text


def run(engine: HostEngine, body: LeaseBody, token: int = 1) -> Observed:
    engine.start(LEASE, token, body)
    return until_state(engine, "over", token)


def log_of(engine: HostEngine, token: int = 1) -> str:
    return (engine.folder(LEASE, token) / "log").read_text()


def is_running(marker: str) -> bool:
    """Whether any process on this machine has `marker` among its arguments."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False
