"""The process that lives through what-ifs beside a door: there only while one waits."""

import subprocess
import sys
import threading
from pathlib import Path


class Worker:
    """Starts the process when it is woken, and again if it was woken while that ran."""

    def __init__(self, database: str, log: Path) -> None:
        self._command = [sys.executable, "-m", "intertie.cli.processes", "what-ifs", database]
        self._log = log
        self._lock = threading.Lock()
        self._is_wanted, self._is_over = False, False
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def wake(self) -> None:
        """See to it that what waits now will be lived through."""
        with self._lock:
            self._is_wanted = True
            if self._thread is None and not self._is_over:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def end(self) -> None:
        """End the process; what it was at waits for another's."""
        with self._lock:
            self._is_over = True
            if self._child is not None:
                self._child.terminate()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._is_wanted or self._is_over:
                    self._thread = None
                    return
                self._is_wanted = False
                self._child = self._start()
            self._child.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as out:
            return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
