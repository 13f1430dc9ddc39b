"""Wake-ups between the processes of one network: whoever commits pokes everyone who waits.

A poke carries nothing: the store is the truth, and a lost poke costs one time-out.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from intertie.control.notify import Notifications


class Wake:
    """One process's ear and voice: by PostgreSQL where that is the store, else by the data folder.

    `name` tells the processes of one folder apart.
    """

    def __init__(self, data: Path, name: str, engine: Engine | None = None) -> None:
        self._condition = threading.Condition()
        self._count = 0
        self._open = True
        self._line: Notifications | Datagrams
        if engine is not None and engine.dialect.name == "postgresql":
            self._line = Notifications(engine, self._ring)
        else:
            self._line = Datagrams(data, name, self._ring)

    def poke(self) -> None:
        """Wake every other process of the network, and whoever waits in this one."""
        self._ring()
        self._line.poke()

    def seen(self) -> int:
        """Return how many pokes were heard; pass it to `wait` after looking at the store."""
        with self._condition:
            return self._count

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return when a poke came after `seen`, or after the time-out."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen or not self._open, timeout_s)

    def close(self) -> None:
        """Stop listening, and let go whoever waits."""
        self._open = False
        self._ring()
        self._line.close()

    def _ring(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()


class Datagrams:
    """A socket for each process in ``<data>/wake/``; `ring` is called for each poke heard.

    The socket of a process that died is removed by the next poke.
    """

    def __init__(self, data: Path, name: str, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._is_open = True
        self._folder = data / "wake"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._folder / f"{name}-{os.getpid()}.sock"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A socket's name holds 107 bytes: through /proc it fits whatever the folder's path is.
        self._folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._socket.bind(self._address(self._path))
        threading.Thread(target=self._listen, name="wake", daemon=True).start()

    def poke(self) -> None:
        """Poke every other process of the folder."""
        for path in self._folder.glob("*.sock"):
            if path != self._path:
                _send(self._address(path), path)

    def close(self) -> None:
        """Stop listening."""
        self._is_open = False
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._folder_fd)

    def _address(self, path: Path) -> str:
        return f"/proc/self/fd/{self._folder_fd}/{path.name}"

    def _listen(self) -> None:
        while self._is_open:
            try:
                self._socket.recv(16)
            except OSError:
                return
            self._ring()


def _send(address: str, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as voice:
        voice.setblocking(False)
        try:
            voice.sendto(b"!", address)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except OSError:
            return  # its queue is full: it has pokes enough.
