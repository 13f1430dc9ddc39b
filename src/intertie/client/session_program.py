"""The program of a session: terminals and ports for whoever connects, until nobody needs it.

It travels as the script of a job of kind `session` and needs the standard library only (any
Python from 3.8). It listens on a socket in the working folder; whoever may call the job is led
there by its agent. A connection begins with one line of JSON that says what is wanted, is
answered by one line, and then carries frames both ways: one byte that names the kind, four bytes
of length, and the data.

    D data    E no more data    W window size    X the program's exit code    B heard it

A terminal stays when its connection is cut. Its output is kept for a while and counted, and so
is its input: who comes back says how much it has, and nothing is lost or said twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER, SOCKET = ".intertie", "session"
IDLE = "INTERTIE_SESSION_IDLE_S"
DATA, END, WINDOW, EXIT, HEARD = b"D", b"E", b"W", b"X", b"B"
HEADER = struct.Struct("!cI")
WINDOW_SIZE = struct.Struct("!HH")
PIECE_BYTES = 1 << 15
FRAME_BYTES_MAX = 1 << 20
KEPT_BYTES = 1 << 18
LINE_BYTES_MAX = 1 << 16
TERMINALS_MAX = 64
LOOK_S = 0.5
END_OF_INPUT = b"\x04"


class Refused(Exception):
    """What was asked for cannot be had; the text goes to whoever asked."""


class Line:
    """One connection, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def hello(self) -> dict[str, Any]:
        """Return what the first line asks for; Refused if it is not an object of JSON."""
        try:
            asked = json.loads(await self.reader.readline())
        except ValueError as error:
            raise Refused("the first line is not JSON") from error
        if not isinstance(asked, dict):
            raise Refused("the first line is not an object of JSON")
        return asked

    def answer(self, **told: Any) -> None:
        self.writer.write(json.dumps(told).encode() + b"\n")

    def put(self, kind: bytes, data: bytes = b"") -> None:
        self.writer.write(HEADER.pack(kind, len(data)) + data)

    async def send(self, kind: bytes, data: bytes = b"") -> None:
        """Send a frame as fast as the other end takes it."""
        self.put(kind, data)
        await self.writer.drain()

    async def receive(self) -> tuple[bytes, bytes]:
        """Return the next frame; ConnectionError or IncompleteReadError once there is none."""
        kind, size = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        if size > FRAME_BYTES_MAX:
            raise ConnectionError("a frame is too large")
        return kind, await self.reader.readexactly(size)

    def close(self) -> None:
        """Close once all is sent."""
        self.writer.close()

    def cut(self) -> None:
        """Close now; whoever waits to send is let go."""
        self.writer.transport.abort()


class Terminal:
    """One program on a terminal of its own; at most one connection is attached to it."""

    def __init__(self, argv: list[str], term: str) -> None:
        self.line: Line | None = None
        self.client = ""
        self.taken = 0
        self.printed = 0
        self.kept = b""
        self.exit_code: int | None = None
        self.touched = time.monotonic()
        self.typing = asyncio.Lock()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            _become(argv, term)
        os.set_blocking(self.fd, False)
        self.pump = asyncio.ensure_future(self._pump())

    def resize(self, rows: int, columns: int) -> None:
        with suppress(OSError):
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def redraw(self) -> None:
        """Have a program that draws the whole screen do it again."""
        with suppress(OSError):
            os.killpg(os.tcgetpgrp(self.fd), signal.SIGWINCH)

    def hang_up(self) -> None:
        with suppress(OSError):
            os.killpg(self.pid, signal.SIGHUP)

    def rest(self, after: int | None, rows: int) -> bytes:
        """Return what was printed after a count of bytes; without one, the last screenful."""
        if after is None:
            return b"".join(self.kept.splitlines(True)[-max(1, rows - 1) :])
        left = max(0, self.printed - after)
        return self.kept[-left:] if left else b""

    async def type(self, data: bytes) -> None:
        """Write to the terminal as fast as the program reads."""
        self.taken += len(data)
        async with self.typing:
            await self._write(data)

    async def end_input(self) -> None:
        async with self.typing:
            await self._write(END_OF_INPUT)

    async def _write(self, data: bytes) -> None:
        while data and self.exit_code is None:
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:
                await _ready(self.fd, is_writing=True)
            except OSError:  # the program has gone
                return

    async def _pump(self) -> None:
        """Keep what the program prints and pass it on, as fast as whoever is attached takes it."""
        while True:
            try:
                data = os.read(self.fd, PIECE_BYTES)
            except BlockingIOError:
                await _ready(self.fd)
                continue
            except OSError:  # nobody holds the terminal any more
                break
            if not data:
                break
            self.kept = (self.kept + data)[-KEPT_BYTES:]
            self.printed += len(data)
            self.touched = time.monotonic()
            await self._tell(DATA, data)
        await self._end()

    async def _end(self) -> None:
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
            if pid:
                break
            await asyncio.sleep(0.05)
        os.close(self.fd)
        self.fd = -1
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        self.exit_code = code
        await self._tell(EXIT, bytes([code]))
        self.touched = time.monotonic()

    async def _tell(self, kind: bytes, data: bytes) -> None:
        line = self.line
        if line is None:
            return
        try:
            await line.send(kind, data)
        except ConnectionError:
            self.detach(line)

    def attach(self, line: Line, client: str, after: int | None, rows: int) -> None:
        """Give the terminal to a connection, from whoever has it: perhaps one that was cut."""
        if self.line is not None:
            self.detach(self.line)
        if self.client != client:
            self.client, self.taken = client, 0
        rest = self.rest(after, rows)
        line.answer(at=self.printed - len(rest), taken=self.taken)
        line.put(DATA, rest)
        if self.exit_code is not None:
            line.put(EXIT, bytes([self.exit_code]))
        self.line = line  # nothing was awaited: the pump goes on from exactly here

    def detach(self, line: Line) -> None:
        if self.line is line:
            self.line = None
            line.cut()


class Session:
    """Everything that is open, and when it is over."""

    def __init__(self, idle_s: float) -> None:
        self.idle_s = idle_s
        self.terminals: dict[str, Terminal] = {}
        self.lines: set[Line] = set()
        self.touched = time.monotonic()
        self.was_used = False

    async def run(self) -> int:
        """Serve until every terminal is over and told, or nobody has come for `idle_s`."""
        server = await _listen(self._connected)
        while not self._is_over():  # noqa: ASYNC110 - time passes, too
            await asyncio.sleep(min(LOOK_S, self.idle_s / 4))
        server.close()
        for terminal in self.terminals.values():
            terminal.hang_up()
        return 0

    def _is_over(self) -> bool:
        if self.lines:
            return False
        if self.was_used and not self.terminals:
            return True
        touched = max([self.touched, *(each.touched for each in self.terminals.values())])
        if time.monotonic() - touched < self.idle_s:
            return False
        sys.stdout.write(f"session: nobody was connected for {self.idle_s:g} s\n")
        return True

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        self.lines.add(line)
        try:
            await self._serve(line)
        except (OSError, asyncio.IncompleteReadError, struct.error):
            pass  # whoever it was has gone, or talks nonsense; a terminal stays
        finally:
            self.lines.discard(line)
            self.touched = time.monotonic()
            line.close()

    async def _serve(self, line: Line) -> None:
        try:
            asked = await line.hello()
            if asked.get("want") == "terminal":
                await self._attend(line, asked)
            elif asked.get("want") == "port":
                await _relay(line, asked)
            else:
                raise Refused("want: it must be terminal or port")
        except Refused as no:
            line.answer(error=str(no))

    async def _attend(self, line: Line, asked: dict[str, Any]) -> None:
        """Attach a connection to a terminal, a new one or one that is there, until it goes."""
        name, client, after = str(asked.get("name")), str(asked.get("client")), asked.get("after")
        rows, columns = _window(asked)
        is_new = name not in self.terminals
        terminal = self._begin(name, asked) if is_new else self.terminals[name]
        terminal.resize(rows, columns)
        terminal.attach(line, client, 0 if is_new else after, rows)
        if not is_new and after is None:
            terminal.redraw()
        try:
            if await _has_heard_the_end(terminal, line):
                self.terminals.pop(name, None)
                self.was_used = True
        finally:
            terminal.detach(line)

    def _begin(self, name: str, asked: dict[str, Any]) -> Terminal:
        if not asked.get("may_begin"):
            there = ", ".join(sorted(self.terminals)) or "none"
            raise Refused(f"there is no terminal {name!r}; there is {there}")
        if len(self.terminals) >= TERMINALS_MAX:
            raise Refused(f"there are {TERMINALS_MAX} terminals already")
        argv = [str(word) for word in asked.get("command") or []] or [_shell()]
        self.terminals[name] = terminal = Terminal(argv, str(asked.get("term") or "dumb"))
        return terminal


async def _has_heard_the_end(terminal: Terminal, line: Line) -> bool:
    """Do what a connection says until it was told the exit code, or has lost the terminal."""
    while True:
        kind, data = await line.receive()
        if terminal.line is not line:  # what it still says, it will say again where it is now
            return False
        if kind == DATA:
            await terminal.type(data)
        elif kind == WINDOW:
            terminal.resize(*WINDOW_SIZE.unpack(data))
        elif kind == END:
            await terminal.end_input()
        elif kind == HEARD:
            return terminal.exit_code is not None


async def _relay(line: Line, asked: dict[str, Any]) -> None:
    """Join a connection with a port of this machine, each way until its end."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(asked["port"]))
    except (OSError, OverflowError, KeyError, ValueError, TypeError) as error:
        raise Refused(f"port {asked.get('port')}: {error}") from error
    line.answer()
    both = [asyncio.ensure_future(each) for each in (_out(line, reader), _in(line, writer))]
    try:
        await asyncio.gather(*both)
    finally:
        for each in both:
            each.cancel()
        writer.close()


async def _out(line: Line, reader: asyncio.StreamReader) -> None:
    while True:
        data = await reader.read(PIECE_BYTES)
        if not data:
            break
        await line.send(DATA, data)
    await line.send(END)


async def _in(line: Line, writer: asyncio.StreamWriter) -> None:
    while True:
        kind, data = await line.receive()
        if kind == END:
            writer.write_eof()
            return
        writer.write(data)
        await writer.drain()


async def _listen(connected: Any) -> asyncio.AbstractServer:
    """Listen below the working folder; only the job's own user may connect."""
    path = _fresh_path()
    return await asyncio.start_unix_server(connected, path, limit=LINE_BYTES_MAX)


def _fresh_path() -> str:
    path = Path(FOLDER, SOCKET)
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    return str(path)


async def _ready(fd: int, is_writing: bool = False) -> None:
    """Return when a descriptor can be read, or written."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    add = loop.add_writer if is_writing else loop.add_reader
    remove = loop.remove_writer if is_writing else loop.remove_reader
    add(fd, lambda: None if future.done() else future.set_result(None))
    try:
        await future
    finally:
        remove(fd)


def _become(argv: list[str], term: str) -> None:
    """Turn this process, just forked, into the program of a terminal."""
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(number, signal.SIG_DFL)
        os.environ["TERM"] = term
        os.environ.pop(IDLE, None)
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\r\n".encode())
    finally:
        os._exit(127)


def _shell() -> str:
    return next((path for path in ("/bin/bash", "/usr/bin/bash") if Path(path).exists()), "sh")


def _window(asked: dict[str, Any]) -> tuple[int, int]:
    try:
        rows, columns = int(asked.get("rows", 24)), int(asked.get("columns", 80))
    except (TypeError, ValueError) as error:
        raise Refused("rows and columns: they must be numbers") from error
    return min(max(rows, 1), 9999), min(max(columns, 1), 9999)


if __name__ == "__main__":
    sys.exit(asyncio.run(Session(float(os.environ.get(IDLE, "1800"))).run()))
