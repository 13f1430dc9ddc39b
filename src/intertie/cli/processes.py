"""Child processes: how they are started, watched and ended, and what a child runs."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

START_TIMEOUT_S = 60.0
_PR_SET_PDEATHSIG = 1


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


def wait_until_ready(address: str, processes: Sequence[Process]) -> None:
    """Return when the door is ready: somebody leads and rounds are taken.

    Raises StartFailed with the log of whoever ended.
    """
    import httpx

    from intertie.client.pinning import split_address, trust

    url, fingerprint = split_address(address)
    tls = trust(fingerprint)
    ends = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends:
        for process in processes:
            if process.exit_code() is not None:
                raise StartFailed(f"{process.name} ended:\n{process.tail()}")
        try:
            if httpx.get(f"{url}/v1/health/ready", timeout=2.0, verify=tls).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # nobody listens yet.
        time.sleep(0.05)
    logs = "\n".join(f"{p.name}:\n{p.tail()}" for p in processes)
    raise StartFailed(f"no answer from {url} in {START_TIMEOUT_S:.0f} s\n{logs}")


def main(words: Sequence[str]) -> int:
    """Run a role as a child process, which ends with its parent.

    `serve DATA LISTENING [DATABASE]`, `decide DATA [DATABASE]`, `what-ifs DATABASE` or
    `agent SETTINGS`.
    """
    _end_with_parent()
    role, folder, *more = words
    if role == "agent":
        from intertie.agent.main import run
        from intertie.agent.settings import read_settings

        return run(read_settings(Path(folder)))
    from intertie.cli.listening import Listening
    from intertie.cli.roles import Place, decide, live_again, serve

    if role == "what-ifs":
        live_again(folder)
    elif role == "serve":
        serve(Place.of(Path(folder), *more[1:]), Listening.parse(more[0]))
    else:
        decide(Place.of(Path(folder), *more))
    return 0


def _end_with_parent() -> None:
    """Have the kernel end this child when its parent is gone, however it went."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        sys.exit("the network that started this ended before it began")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
