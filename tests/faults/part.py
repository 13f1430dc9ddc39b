"""One process of a network, running as it always does, that fails where its plan says.

It counts its steps: before and after each store statement, commit and rollback, and around each
write, sync, rename and start of the agent's. At the planned counts it ends as by kill -9, stops
as by SIGSTOP (the harness wakes it), or its wall clock jumps. Nothing in the product knows of it.
"""

import functools
import logging
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.plan import ROLES

KILLED = 137
_ARMED = 0  # the first number in the shared page: whether faults happen; then one for each role
_PAGE_BYTES = 4096
_number = struct.Struct("<q")
_AGENT_STEPS = ("write", "fsync", "replace", "rename", "link", "posix_spawn")


class Counts:
    """How many steps each role has taken, in a page that all processes of a seed share."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_PAGE_BYTES))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _PAGE_BYTES)

    @property
    def is_armed(self) -> bool:
        return self._read(_ARMED) == 1

    def arm(self, is_armed: bool) -> None:
        """Let faults happen from now on, or no more."""
        self._write(_ARMED, int(is_armed))

    def of(self, role: str) -> int:
        return self._read(1 + ROLES.index(role))

    def set(self, role: str, count: int) -> None:
        self._write(1 + ROLES.index(role), count)

    def _read(self, at: int) -> int:
        found: int = _number.unpack_from(self._page, 8 * at)[0]
        return found

    def _write(self, at: int, value: int) -> None:
        _number.pack_into(self._page, 8 * at, value)


class Steps:
    """Counts the steps of this process and does what is planned for each."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.role: str = told["role"]
        self.counts = Counts(Path(told["counts"]))
        self.faults = {int(at): (what, value) for at, what, value in told["faults"]}
        self.offset_s = 0.0
        self._met = Path(told["marker"]) / f"met-{os.getpid()}"
        self._lock = threading.Lock()

    def step(self) -> None:
        if not self.counts.is_armed:
            return
        with self._lock:
            count = self.counts.of(self.role) + 1
            self.counts.set(self.role, count)
            what, value = self.faults.get(count, ("", 0.0))
            if what:
                self._met.write_text(str(count))
            if what == "kill":
                os._exit(KILLED)
            if what == "pause":
                os.kill(os.getpid(), signal.SIGSTOP)
            if what == "clock":
                self.offset_s = value

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function with a step before and one after."""

        @functools.wraps(act)
        def counted(*known: Any, **named: Any) -> Any:
            self.step()
            done = act(*known, **named)
            self.step()
            return done

        return counted

    def shift_clock(self) -> None:
        """Have the wall clock of this process be wrong by the offset while faults happen."""
        now_s, now_ns = time.time, time.time_ns

        def is_wrong_by() -> float:
            return self.offset_s if self.counts.is_armed else 0.0

        time.time = lambda: now_s() + is_wrong_by()
        time.time_ns = lambda: now_ns() + int(is_wrong_by() * 1e9)

    def count_store(self) -> None:
        from sqlalchemy import Engine, event
        from sqlalchemy.engine.default import DefaultDialect

        for moment in ("before_cursor_execute", "after_cursor_execute"):
            event.listen(Engine, moment, lambda *_: self.step())
        for name in ("do_commit", "do_rollback"):
            setattr(DefaultDialect, name, self.around(getattr(DefaultDialect, name)))

    def count_agent(self) -> None:
        for name in _AGENT_STEPS:
            setattr(os, name, self.around(getattr(os, name)))


def run(told: dict[str, Any]) -> int:
    """Run a door, a decider or an agent until it is told to end."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    steps = Steps(told)
    steps.shift_clock()
    if told["role"].startswith("agent"):
        steps.count_agent()
        return _agent(told)
    steps.count_store()
    from intertie.cli.roles import Listening, Place, decide, serve

    place = Place(Path(told["data"]), told["database"])
    if told["role"].startswith("door"):
        serve(place, Listening(told["port"], has_console=False))
    else:
        decide(place)
    return 0


def _agent(told: dict[str, Any]) -> int:
    from intertie.agent.main import run as speak
    from intertie.agent.settings import read_settings
    from intertie.engines.host import engine

    engine.SHIM = Path(__file__).with_name("shim.py")
    return speak(read_settings(Path(told["settings"])))
