"""The processes of an embedded network: one door with the console, one decider, and agents."""

import ctypes
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

START_TIMEOUT_S = 60.0
_PR_SET_PDEATHSIG = 1


def serve(data: Path, port: int, host: str = "127.0.0.1") -> None:
    """Run a door and the console of a data folder until the process is told to end."""
    from intertie.api.app import create_app
    from intertie.api.serving import DoorServer
    from intertie.catalogue.texts import languages, text
    from intertie.console.pages import mount
    from intertie.control.bootstrap import console_secret, database_url, open_network
    from intertie.control.wake import Wake

    engine = open_network(database_url(data))
    wake = Wake(data, "door")
    app = create_app(engine, wake, data)
    mount(app, f"http://{host}:{port}", text, languages(), console_secret(engine))
    try:
        DoorServer(app, host, port).run()
    finally:
        wake.close()


def decide(data: Path) -> None:
    """Run the decider of a data folder until the process is told to end."""
    from intertie.control.kernels import prepare_kernels, warm_kernels

    prepare_kernels()
    lock = (data / "decider.lock").open("w")
    # Two deciders of one SQLite file would decide twice: the second waits until the first is gone.
    fcntl.flock(lock, fcntl.LOCK_EX)
    from intertie.control.bootstrap import database_url, open_network
    from intertie.control.decider import run
    from intertie.control.wake import Wake

    engine = open_network(database_url(data))
    warm_kernels()
    wake = Wake(data, "decider")
    should_stop = threading.Event()

    def stop(*_: object) -> None:
        should_stop.set()
        wake.poke()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        run(engine, wake, should_stop)
    finally:
        wake.close()
        lock.close()


class Process:
    """One child process with its log, in a session of its own so that Ctrl-C reaches us first."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the child; its output goes to its log."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as out:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        assert self._child is not None, "start it first"
        return self._child.pid

    def exit_code(self) -> int | None:
        """Return the child's exit code, or None while it runs."""
        return None if self._child is None else self._child.poll()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ask the child to end, and end it when it does not."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def kill(self) -> None:
        """End the child without a word, as a power cut would."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


class StartFailed(Exception):
    """A process of the network ended or did not answer; the message holds the end of its log."""


def python_command(*words: str) -> list[str]:
    """Return the command that runs a part of this program under this interpreter."""
    return [sys.executable, "-m", *words]


def wait_until_healthy(url: str, processes: Sequence[Process]) -> None:
    """Return when the door answers; raise StartFailed with the log of whoever ended."""
    import httpx

    ends = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends:
        for process in processes:
            if process.exit_code() is not None:
                raise StartFailed(f"{process.name} ended:\n{process.tail()}")
        try:
            if httpx.get(f"{url}/v1/health", timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    logs = "\n".join(f"{p.name}:\n{p.tail()}" for p in processes)
    raise StartFailed(f"no answer from {url} in {START_TIMEOUT_S:.0f} s\n{logs}")


def main(words: Sequence[str]) -> int:
    """Run `serve DATA PORT`, `decide DATA` or `agent SETTINGS` as a child process."""
    _end_with_parent()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    if words[0] == "serve":
        serve(Path(words[1]), int(words[2]))
    elif words[0] == "decide":
        decide(Path(words[1]))
    else:
        from intertie.agent.main import run
        from intertie.agent.settings import read_settings

        return run(read_settings(Path(words[1])))
    return 0


def _end_with_parent() -> None:
    """Have the kernel end this child when its parent is gone, however it went."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        sys.exit("the network that started this ended before it began")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
