"""Terminals in tests: one driven by the SDK, and the command on one of its own."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

from intertie.client import Intertie
from intertie.client.sessions import Terminal

PATIENCE_S = 60.0


class Screen:
    """A terminal in a session, whose output is kept and can be waited for."""

    def __init__(self, client: Intertie, job: str, **known: Any) -> None:
        self.terminal = Terminal(client, job, **known)
        self.printed = b""
        self.losses = 0
        self.ended: list[int | BaseException | None] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def type(self, text: str) -> None:
        self.terminal.type(text.encode())

    def until(self, pattern: str) -> str:
        """Wait until something was printed, and return the first group that matched."""
        expression = re.compile(pattern.encode())
        with self._changed:
            found = self._changed.wait_for(
                lambda: expression.search(self.printed) or self.ended, PATIENCE_S
            )
            match = expression.search(self.printed)
        assert found, f"{pattern!r} was not printed: {self.printed[-2000:]!r}"
        assert match, f"{pattern!r} was not printed before {self.ended}: {self.printed[-2000:]!r}"
        return match.group(match.lastindex or 0).decode()

    def code(self) -> int | None:
        """Wait for the end, and return the exit code."""
        self._thread.join(PATIENCE_S)
        assert self.ended, f"it did not end: {self.printed[-2000:]!r}"
        [ended] = self.ended
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def _run(self) -> None:
        try:
            ended: int | BaseException | None = self.terminal.run(self._hear, self._lose)
        except Exception as error:  # noqa: BLE001 - the test sees it
            ended = error
        with self._changed:
            self.ended.append(ended)
            self._changed.notify_all()

    def _hear(self, data: bytes) -> None:
        with self._changed:
            self.printed += data
            self._changed.notify_all()

    def _lose(self) -> None:
        with self._changed:
            self.losses += 1
            self._changed.notify_all()


class Command:
    """`intertie …` as a person runs it: on a terminal, key by key."""

    def __init__(self, arguments: list[str], home: Path, rows: int, columns: int) -> None:
        self.printed = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(INTERTIE_HOME=str(home), INTERTIE_LANG="en", TERM="xterm")
            os.execv(sys.executable, [sys.executable, "-m", "intertie.cli.main", *arguments])
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.fd)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def is_as_before(self) -> bool:
        """Return whether the terminal echoes and reads lines as it did before the command."""
        return termios.tcgetattr(self.fd)[:4] == self.before[:4]

    def until(self, pattern: str) -> str:
        """Wait until something was printed, and return the first group that matched."""
        ends = time.monotonic() + PATIENCE_S
        while not (match := re.search(pattern.encode(), self.printed)):
            left_s = ends - time.monotonic()
            assert left_s > 0, f"{pattern!r} was not printed: {self.printed!r}"
            if select.select([self.fd], [], [], left_s)[0]:
                try:
                    self.printed += os.read(self.fd, 65536)
                except OSError:
                    raise AssertionError(f"{pattern!r} was not printed: {self.printed!r}") from None
        return match.group(match.lastindex or 0).decode()

    def code(self) -> int:
        """Wait for the end, and return the exit code."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other end of the terminal is closed
                break
            self.printed += data
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code
