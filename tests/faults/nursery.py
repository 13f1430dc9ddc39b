"""Processes that start in milliseconds: one parent that has imported everything, and forks.

Each child is a process of its own in a session of its own, with its own connections, files and
clock; it only does not read Python's modules from disk again. Run as a program, this file is the
parent: it reads what to start from its input, a JSON object a line, and tells of each child what
became of it: started, stopped, ended.
"""

import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections import defaultdict, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


class Nursery:
    """The harness's side: starts parts, and keeps what is told of each until it is asked for."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told: dict[int, deque[tuple[str, int]]] = defaultdict(deque)
        self._pids: dict[int, int] = {}
        self._changed = threading.Condition()
        self._number = 0
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, told: dict[str, Any]) -> int:
        """Fork a part and return its process number."""
        assert self._process.stdin is not None
        with self._changed:
            self._number += 1
            number = self._number
            self._process.stdin.write(json.dumps(told | {"number": number}) + "\n")
            self._process.stdin.flush()
            is_there = self._changed.wait_for(lambda: number in self._pids, 60.0)
            assert is_there, "the nursery did not answer"
            return self._pids.pop(number)

    def send(self, pid: int, number: int) -> None:
        """Send a signal to a part, unless it has ended: its number may be another's by now."""
        assert self._process.stdin is not None
        with self._changed:
            self._process.stdin.write(json.dumps({"pid": pid, "signal": number}) + "\n")
            self._process.stdin.flush()

    def news(self, pid: int) -> list[tuple[str, int]]:
        """Return what became of a part since the last call: (stopped, 0) or (ended, exit code)."""
        with self._changed:
            return list(self._told.pop(pid, ()))

    def close(self) -> None:
        """End the parent, and with it whatever it started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(30)
        self._listener.join(30)
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, key, value = json.loads(line)
            with self._changed:
                if what == "started":
                    self._pids[key] = value
                    # Its number may have been another's, of whom nobody asked for the last news.
                    self._told.pop(value, None)
                else:
                    self._told[key].append((what, value))
                self._changed.notify_all()


def main() -> int:
    """Import everything, then fork what the input asks for until it ends."""
    _import_everything()
    wake, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    rest, alive = b"", set[int]()
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                return 0
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                told = json.loads(line)
                if "signal" not in told:
                    alive.add(_start(told))
                elif told["pid"] in alive:
                    os.kill(told["pid"], told["signal"])
        _tell_changes(alive)


def _import_everything() -> None:
    from intertie.control.kernels import prepare_kernels, warm_kernels

    prepare_kernels()
    import psycopg  # noqa: F401  (SQLAlchemy imports its driver with the first engine)
    import uvicorn.loops.auto
    import uvicorn.protocols.http.auto  # noqa: F401

    import tests.faults.part  # noqa: F401

    warm_kernels()
    gc.collect()
    gc.freeze()


def _start(told: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _become(told)
            from tests.faults.part import run

            code = run(told)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001  the child ends here, whatever it was
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _say("started", told["number"], pid)
    return pid


def _become(told: dict[str, Any]) -> None:
    """Leave all that is the nursery's; end when it ends."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(told["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, 256)
    if told.get("namespace"):
        with open(told["namespace"], "rb") as namespace:  # noqa: PTH123
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the namespace cannot be entered")
    os.environ["INTERTIE_FAULTS"] = told["marker"]


def _tell_changes(alive: set[int]) -> None:
    """Tell who stopped or ended. Who ended keeps its number until now: nobody else has it."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                _say("stopped", pid, 0)
            else:
                alive.discard(pid)
                _say("ended", pid, os.waitstatus_to_exitcode(status))


def _say(*told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
