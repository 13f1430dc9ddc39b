"""Sessions: a job that is a terminal, and ports, on leased devices.

The program of a session and what speaks to it from here are both ours: what lies between them,
doors and an agent, carries bytes. A terminal outlives its connection; here it is dialled again.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from importlib.resources import files
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any

from intertie.client.errors import BadInput, IntertieError, Unreachable, problem_of
from intertie.client.session_program import (
    DATA,
    END,
    EXIT,
    HEADER,
    HEARD,
    IDLE,
    PIECE_BYTES,
    WINDOW,
    WINDOW_SIZE,
)
from intertie.client.transport import FIRST_WAIT_S, LONGEST_WAIT_S, Transport

if TYPE_CHECKING:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import ClientConnection

    from intertie.client.network import Intertie

IDLE_S = 1800
# What was typed and may not have arrived: more than the buffers on the way hold.
UNHEARD_BYTES_MAX = 1 << 20
AHEAD_MAX = 1 << 16
RUNNING = "running"
OVER = ("ended", "settled")
TRIES = 6


class SessionOver(IntertieError):
    """The session has ended, and the terminal with it; its exit code was not heard."""


class NotThere(IntertieError):
    """The program of the session refused: no such terminal, or nothing at that port."""


class _Cut(IntertieError):
    """There is no connection now, and there may be one soon."""


def session_spec(told: Mapping[str, Any], idle_s: int = IDLE_S) -> dict[str, Any]:
    """Return the job spec of a session: what was told, with our program in place of any other.

    It ends `idle_s` after the last connection, or with the last terminal.
    """
    rest = {name: value for name, value in told.items() if name != "command"}
    environment = {**told.get("environment", {}), IDLE: str(idle_s)}
    source = files("intertie.client").joinpath("session_program.py").read_text(encoding="utf-8")
    return {
        **rest,
        "kind": "session",
        "script": f"#!/usr/bin/env python3\n{source}",
        "environment": environment,
    }


def wait_until_open(network: Intertie, job: str, pause_s: float = 0.2) -> None:
    """Return once the session runs; raise SessionOver if it has ended before."""
    while (found := network.job(job)).state != RUNNING:
        if found.state in OVER:
            raise _over(job)
        time.sleep(pause_s)


class Line:
    """One connection with the program of a session, frame by frame. Threads may share it."""

    def __init__(self, transport: Transport, job: str, asked: Mapping[str, Any]) -> None:
        self._connection: ClientConnection = transport.dial(f"jobs/{job}/session")
        self._rest = b""
        try:
            self._connection.send(json.dumps(asked).encode() + b"\n")
            self.told: dict[str, Any] = json.loads(self._line())
        except BaseException:
            self._connection.close()
            raise
        if "error" in self.told:
            self._connection.close()
            refused = problem_of("not_there", "The session refuses", str(self.told["error"]))
            raise NotThere(refused)

    def send(self, kind: bytes, data: bytes = b"") -> None:
        self._connection.send(HEADER.pack(kind, len(data)) + data)

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Return what comes; ConnectionClosed (of websockets) at the end."""
        while True:
            while len(self._rest) >= HEADER.size:
                kind, size = HEADER.unpack_from(self._rest)
                if len(self._rest) < HEADER.size + size:
                    break
                data = self._rest[HEADER.size : HEADER.size + size]
                self._rest = self._rest[HEADER.size + size :]
                yield kind, data
            self._rest += self._connection.recv(decode=False)

    def close(self) -> None:
        self._connection.close()

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            self._rest += self._connection.recv(decode=False)
        line, _, self._rest = self._rest.partition(b"\n")
        return line


class Terminal:
    """A terminal in a session, over however many connections it takes.

    `name` picks one that is there; without it a new one begins, with `command` or a shell.
    One thread calls `run`, any others `type`, `resize`, `end_input` and `leave`.
    """

    def __init__(
        self,
        network: Intertie,
        job: str,
        window: tuple[int, int] = (24, 80),
        name: str = "",
        command: Sequence[str] = (),
        term: str = "xterm-256color",
    ) -> None:
        self.name = name or os.urandom(6).hex()
        self._network, self._job, self._window = network, job, window
        self._begins = {"command": list(command), "term": term} if not name else None
        self._client = os.urandom(8).hex()
        self._heard: int | None = None if name else 0
        self._typed, self._ahead, self._unheard = 0, 0, b""
        self._line: Line | None = None
        self._has_left = self._was_attached = False
        self._changed, self._sending = Condition(), Lock()

    def run(self, write: Callable[[bytes], object], lost: Callable[[], object]) -> int | None:
        """Pass on what is printed until the program ends; return its exit code, None if left.

        `lost` is called when the connection is cut; it is dialled again. Raises SessionOver when
        there is nothing any more to dial to, NotThere when there is no such terminal.
        """
        with closing(self._network.another_line()) as transport:
            try:
                return self._run(transport, write, lost)
            finally:
                self.leave()  # whoever still types need not wait for a connection

    def _run(
        self, transport: Transport, write: Callable[[bytes], object], lost: Callable[[], object]
    ) -> int | None:
        failures = 0
        while True:
            try:
                line = self._attach(transport)
                failures = 0
                return self._follow(line, write)
            except _Cut as cut:
                failures += 1
                if failures > TRIES and not self._was_attached:
                    raise Unreachable(cut.problem) from None
            self._detach()
            if self._has_gone_after(failures):
                return None
            if failures == 1 and self._was_attached:
                lost()
            self._check_open()

    def type(self, data: bytes) -> None:
        """Send what is typed; some of it may be typed while there is no connection."""
        for at in range(0, len(data), PIECE_BYTES):
            self._type(data[at : at + PIECE_BYTES])

    def end_input(self) -> None:
        """Say that nothing more will be typed."""
        self._send(END)

    def resize(self, rows: int, columns: int) -> None:
        self._window = (rows, columns)
        self._send(WINDOW, WINDOW_SIZE.pack(rows, columns), is_lasting=False)

    def leave(self) -> None:
        """Go, and let the terminal stay; `run` returns None."""
        with self._changed:
            self._has_left = True
            line = self._line
            self._changed.notify_all()
        if line is not None:
            line.close()

    def _attach(self, transport: Transport) -> Line:
        asked: dict[str, Any] = {
            "want": "terminal",
            "name": self.name,
            "client": self._client,
            "rows": self._window[0],
            "columns": self._window[1],
            "may_begin": self._begins is not None,
            **(self._begins or {}),
        }
        if self._heard is not None:
            asked["after"] = self._heard
        line = _attached(transport, self._job, asked)
        with self._changed:
            self._begins = None  # it has begun: once it has ended, it must not begin again
            self._was_attached = True
            self._heard = int(line.told["at"])
            missed = self._typed - int(line.told["taken"])
            self._line = line
            if missed > 0:  # on its own thread: what is printed must be taken meanwhile
                self._sending.acquire()
                rest = self._unheard[-missed:]
                Thread(target=self._say_again, args=(line, rest), daemon=True).start()
            self._changed.notify_all()
        if self._has_left:
            line.close()
        return line

    def _say_again(self, line: Line, rest: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            with suppress(ConnectionClosed):
                for at in range(0, len(rest), PIECE_BYTES):
                    line.send(DATA, rest[at : at + PIECE_BYTES])
        finally:
            self._sending.release()

    def _follow(self, line: Line, write: Callable[[bytes], object]) -> int:
        from websockets.exceptions import ConnectionClosed

        try:
            for kind, data in line.frames():
                if kind == DATA:
                    write(data)
                    assert self._heard is not None, "an attached terminal has told where it is"
                    self._heard += len(data)
                elif kind == EXIT:
                    line.send(HEARD)
                    return data[0]
        except ConnectionClosed as closed:
            raise _cut(closed) from None
        raise AssertionError("frames end by raising")

    def _detach(self) -> None:
        with self._changed:
            line, self._line, self._ahead = self._line, None, 0
        if line is not None:
            line.close()

    def _type(self, data: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._line or self._has_left or self._ahead < AHEAD_MAX)
            self._ahead += 0 if self._line else len(data)
            self._typed += len(data)
            self._unheard = (self._unheard + data)[-UNHEARD_BYTES_MAX:]
            line = self._line
        self._send_on(line, DATA, data)

    def _send(self, kind: bytes, data: bytes = b"", is_lasting: bool = True) -> None:
        with self._changed:
            if is_lasting:
                self._changed.wait_for(lambda: self._line is not None or self._has_left)
            line = self._line
        self._send_on(line, kind, data)

    def _send_on(self, line: Line | None, kind: bytes, data: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        if line is not None:
            with suppress(ConnectionClosed), self._sending:  # what is not taken is said again
                line.send(kind, data)

    def _has_gone_after(self, failures: int) -> bool:
        """Wait before the next dial; return whether the user left meanwhile."""
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures, 8))
        with self._changed:
            return self._changed.wait_for(lambda: self._has_left, wait_s)

    def _check_open(self) -> None:
        """Raise SessionOver when the session has ended; a network that is away may come back."""
        with suppress(Unreachable):
            if self._network.job(self._job).state in OVER:
                raise _over(self._job)


class Forward:
    """A port of this machine's loopback that leads to a port inside a session."""

    def __init__(self, network: Intertie, job: str, port: int, local_port: int | None = None):
        self._network, self._job, self._port = network, job, port
        self._listener = _listener(port if local_port is None else local_port)
        self.local_port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, name="forward", daemon=True).start()

    def close(self) -> None:
        """Take no new connections; those that are open go on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:  # closed
                return
            Thread(target=self._serve, args=(local,), name="forwarded", daemon=True).start()

    def _serve(self, local: socket.socket) -> None:
        """Join one local connection with the port; what cannot be reached is closed."""
        from websockets.exceptions import ConnectionClosed

        with local, closing(self._network.another_line()) as transport:
            asked = {"want": "port", "port": self._port}
            with suppress(IntertieError, ConnectionClosed, OSError):
                line = Line(transport, self._job, asked)
                up = Thread(target=_send_all, args=(local, line), name="forward-up", daemon=True)
                up.start()
                try:
                    _take_all(line, local)
                finally:
                    with suppress(OSError):
                        local.shutdown(socket.SHUT_RD)
                    line.close()
                    up.join()


def _take_all(line: Line, local: socket.socket) -> None:
    """Pass on what comes until its end; then wait until the other way has ended too."""
    for kind, data in line.frames():
        if kind == DATA:
            local.sendall(data)
        elif kind == END:
            local.shutdown(socket.SHUT_WR)


def _send_all(local: socket.socket, line: Line) -> None:
    from websockets.exceptions import ConnectionClosed

    try:
        while data := local.recv(PIECE_BYTES):
            line.send(DATA, data)
        line.send(END)
    except ConnectionClosed:
        return
    except OSError:  # not ended but cut off: so is the other end
        line.close()


def _listener(port: int) -> socket.socket:
    """Return a listening socket on loopback; or Unreachable if it is taken."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except OSError as error:
        found.close()
        detail = f"port {port} here: {error.strerror}; choose another, as in --port 9000:{port}"
        raise Unreachable(problem_of("port_taken", "The port cannot be used", detail)) from None
    found.listen(64)
    return found


def _attached(transport: Transport, job: str, asked: Mapping[str, Any]) -> Line:
    """Return a line; raise _Cut where another try may help, SessionOver where none will."""
    from websockets.exceptions import ConnectionClosed

    try:
        return Line(transport, job, asked)
    except ConnectionClosed as closed:
        raise _cut(closed) from None
    except Unreachable as error:
        raise _Cut(error.problem) from None
    except BadInput as error:
        if error.code == "session_over":
            raise _over(job) from None
        if error.code == "session_waits":
            raise _Cut(error.problem) from None
        raise


def _cut(closed: ConnectionClosed) -> _Cut:
    """Return a connection that closed as what it means; an agent says why it has none."""
    reason = closed.rcvd.reason if closed.rcvd else ""
    return _Cut(problem_of("session_cut", "The connection was cut", reason))


def _over(job: str) -> SessionOver:
    detail = f"see `intertie job {job}` and `intertie logs {job}`"
    return SessionOver(problem_of("session_over", f"The session {job} is over", detail))
