"""Calls for sessions: the agent dials the door where a user waits, and relays to the program.

It understands nothing of what it relays. The program's socket lies in a folder that the job may
write, so nothing there is trusted: no link is followed, and the socket must be the job's own.
"""

import os
import socket
import stat
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from intertie.agent.book import Book
from intertie.agent.door import Door
from intertie.agent.log import event
from intertie.engines.protocol import Engine
from intertie.wire.sync import CallBody

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

KIND = "session"
SOCKET = (".intertie", "session")
CALLS_MAX = 256
KNOWN_MAX = 4096
LISTENING_S = 10.0  # a program that has just started may not listen yet
DIALLING_S = 30.0
PIECE_BYTES = 1 << 16
PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class NoSession(Exception):
    """The attempt has no program that listens as a session's does; the text says what it lacks."""


class Calls:
    """Answers each call once, on a thread of its own; `take` is safe to repeat."""

    def __init__(self, door: Door, agent: str, book: Book, engine: Engine) -> None:
        self.door, self.agent, self.book, self.engine = door, agent, book, engine
        self._known: dict[str, None] = {}
        self._answering = 0
        self._lock = Lock()

    def take(self, calls: Iterable[CallBody]) -> bool:
        """Begin to answer the calls that are new; return whether there was one."""
        fresh = [call for call in calls if self._is_new(call.nonce)]
        for call in fresh:
            Thread(target=self._answer, args=(call,), name="call", daemon=True).start()
        return bool(fresh)

    def _is_new(self, nonce: str) -> bool:
        """Note a call; one too many is left, and the network will say it again."""
        with self._lock:
            if nonce in self._known or self._answering >= CALLS_MAX:
                return False
            self._known[nonce] = None
            while len(self._known) > KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._answering += 1
            return True

    def _answer(self, call: CallBody) -> None:
        from websockets.exceptions import WebSocketException

        try:
            with self._dial(call) as line:
                self._serve(line, call)
        except (OSError, WebSocketException) as error:
            event("call not answered", lease=call.lease, reason=str(error) or repr(error))
        finally:
            with self._lock:
                self._answering -= 1

    def _dial(self, call: CallBody) -> "ClientConnection":
        """Open the WebSocket; another door may be behind the same address, so ask a few times."""
        from websockets.exceptions import InvalidStatus

        until_s = time.monotonic() + DIALLING_S
        path = f"/v1/agents/{self.agent}/calls/{call.nonce}"
        for pause_s in (*PAUSES_S, *([PAUSES_S[-1]] * int(DIALLING_S))):
            try:
                return self.door.dial(path, call.url)
            except (OSError, InvalidStatus) as error:
                is_over = isinstance(error, InvalidStatus) and error.response.status_code == 401
                if is_over or time.monotonic() > until_s:
                    raise
            time.sleep(pause_s)
        raise TimeoutError("no door knows of the call")

    def _serve(self, line: "ClientConnection", call: CallBody) -> None:
        try:
            program = self._program(call)
        except NoSession as no:
            line.close(1011, str(no))
            event("call not answered", lease=call.lease, reason=no)
            return
        event("session joined", lease=call.lease)
        with closing(program):
            relay(line, program)
        event("session left", lease=call.lease)

    def _program(self, call: CallBody) -> socket.socket:
        with self.book.changed:
            record = self.book.records.get((call.lease, call.token))
            body = record.body if record is not None and not record.ended else None
        if body is None or body.kind != KIND:
            raise NoSession("no session of that lease is here")
        work = self.engine.folder(call.lease, call.token) / "work"
        until_s = time.monotonic() + LISTENING_S
        while True:
            try:
                return connect(work)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if time.monotonic() > until_s:
                    raise NoSession("the program does not listen") from error
            except OSError as error:
                raise NoSession(f"the socket cannot be used: {error.strerror}") from error
            time.sleep(PAUSES_S[0])


def connect(work: Path) -> socket.socket:
    """Return a connection to the session's socket below a working folder.

    OSError if there is none, or if it is a link or somebody else's. (By a descriptor, so that
    what was checked is what is connected to, and however long the path is.)
    """
    folder = os.open(work, os.O_PATH | os.O_DIRECTORY)
    owner = os.fstat(folder).st_uid
    opened = [folder]
    try:
        opened.append(os.open(SOCKET[0], _FOLDER, dir_fd=folder))
        opened.append(os.open(SOCKET[1], os.O_PATH | os.O_NOFOLLOW, dir_fd=opened[-1]))
        found = os.fstat(opened[-1])
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != owner:
            raise PermissionError(1, "it is not a socket of the job's own")
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(f"/proc/self/fd/{opened[-1]}")
        except OSError:
            line.close()
            raise
        return line
    finally:
        for each in opened:
            os.close(each)


def relay(line: "ClientConnection", program: socket.socket) -> None:
    """Carry bytes both ways, as fast as they are taken, until one end closes."""
    from websockets.exceptions import ConnectionClosed

    up = Thread(target=_carry_up, args=(line, program), name="call-up", daemon=True)
    up.start()
    with suppress(ConnectionClosed, OSError):
        while True:
            data = line.recv(decode=False)
            program.sendall(data)
    with suppress(OSError):
        program.shutdown(socket.SHUT_RDWR)
    line.close()
    up.join()


def _carry_up(line: "ClientConnection", program: socket.socket) -> None:
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed, OSError):
        while data := program.recv(PIECE_BYTES):
            line.send(data)
    line.close()


_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
