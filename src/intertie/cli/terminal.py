"""This process's terminal lent to a program elsewhere: raw while it lasts, as it was afterwards."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intertie.client.sessions import Terminal

PIECE_BYTES = 1 << 15
# As in ssh: typed at the beginning of a line, `~.` leaves; the program never sees it.
ESCAPE, LEAVE = b"~", b"."
LINE_ENDS = b"\r\n"


def window() -> tuple[int, int]:
    """Return (rows, columns) of the terminal that this process has; 24 and 80 without one."""
    for fd in (1, 0, 2):
        with suppress(OSError):
            size = os.get_terminal_size(fd)
            if size.lines and size.columns:
                return size.lines, size.columns
    return 24, 80


def lend(terminal: Terminal, lost: Callable[[], object]) -> int | None:
    """Join standard input and output with a terminal until its program ends.

    Return the program's exit code; None when the user left it running with ``~.``.
    """
    read, wake = os.pipe()
    try:
        with _raw(), _resized(wake):
            Thread(target=_type, args=(terminal, read), name="typing", daemon=True).start()
            return terminal.run(_write, lost)
    finally:
        os.close(wake)  # the typing thread ends, and closes its own end


def _type(terminal: Terminal, wake: int) -> None:
    """Pass on what is typed, and each new size of the window."""
    escapes = Escapes()
    sources = [0, wake]
    while True:
        ready = select.select(sources, [], [])[0]
        if wake in ready:
            if not os.read(wake, PIECE_BYTES):
                os.close(wake)
                return
            terminal.resize(*window())
        if 0 in ready:
            data = os.read(0, PIECE_BYTES)
            typed, has_left = escapes.take(data)
            terminal.type(typed)
            if has_left:
                terminal.leave()
            elif not data:
                terminal.end_input()
                sources.remove(0)


class Escapes:
    """Finds ``~.`` at the beginning of a line in what is typed; ``~~`` is one ``~``."""

    def __init__(self) -> None:
        self._is_tty = os.isatty(0)
        self._at_start = True
        self._has_escape = False

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Return what the program should see, and whether the user leaves."""
        if not self._is_tty:  # what is piped in is data, all of it
            return data, False
        typed = b""
        for at in range(len(data)):
            key = data[at : at + 1]
            if self._has_escape:
                self._has_escape = False
                if key == LEAVE:
                    return typed, True
                typed += key if key == ESCAPE else ESCAPE + key
            elif self._at_start and key == ESCAPE:
                self._has_escape = True
                continue
            else:
                typed += key
            self._at_start = key in LINE_ENDS
        return typed, False


def _write(data: bytes) -> None:
    sys.stdout.flush()
    while data:
        data = data[os.write(1, data) :]


@contextmanager
def _raw() -> Iterator[None]:
    """Let every key through, and give the terminal back as it was, however this ends."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)

    def give_back(number: int, _frame: Any) -> None:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        sys.exit(128 + number)

    told = {number: signal.signal(number, give_back) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        for number, handler in told.items():
            signal.signal(number, handler)


@contextmanager
def _resized(wake: int) -> Iterator[None]:
    """Write to a pipe when the window has another size: a handler should do no more."""

    def say(_number: int, _frame: Any) -> None:
        os.write(wake, b"w")

    before = signal.signal(signal.SIGWINCH, say)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
