"""What all real servers here share: daemons in a folder of their own, and that they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from tests.servers import keeper

T = TypeVar("T")
NOTHING: Mapping[str, str] = MappingProxyType({})


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]


class Server:
    """Daemons by name; subclasses `start` them. All of it is gone after `stop`, folder included.

    It is also gone when this process is, however that ended: a keeper beside it sees to that.
    """

    deadline_s = 60.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = os.environ
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "log").mkdir(parents=True, exist_ok=True)
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything, and return when it can be used."""
        raise NotImplementedError

    def stop(self) -> None:
        """Kill everything that was started here and what that started, and clear it away."""
        self._keeper.communicate()
        for daemon in self.daemons.values():
            daemon.wait()

    def undo(self, *command: str) -> None:
        """Say what is to be run when all has ended."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{json.dumps(command)}\n".encode())
        self._keeper.stdin.flush()

    def begin(
        self, name: str, argv: list[str], told: Mapping[str, str] = NOTHING, user: str = ""
    ) -> None:
        """Start a daemon in a session of its own."""
        own: Any = {"user": user, "group": "nogroup", "extra_groups": []} if user else {}
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                argv,
                # Last: a daemon that changes its title writes over the first ones.
                env={**self.environment, **told, keeper.MARK: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                **own,
            )

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one daemon, unless it does not run; what it started runs on."""
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(number)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def kill_all(self) -> None:
        """Kill every daemon and whatever it started, as if the power were cut."""
        keeper.kill(self.folder)
        for name in list(self.daemons):
            self.daemons.pop(name).wait()

    def until(self, holds: Callable[[], T], what: str) -> T:
        """Return what holds, when it does; AssertionError if a daemon has ended, or never."""
        ends = time.monotonic() + self.deadline_s
        while not (found := holds()):
            for name, daemon in self.daemons.items():
                assert daemon.poll() is None, f"{name} ended: {self.last_words(name)}"
            assert time.monotonic() < ends, f"never came: {what}"
            time.sleep(0.1)
        return found

    def last_words(self, name: str) -> str:
        return (self.folder / "log" / f"{name}.out").read_text(errors="replace")[-2000:]
