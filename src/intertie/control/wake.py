"""Wake-ups between processes of one data folder: whoever commits pokes everyone who waits.

A poke carries nothing: the store is the truth, and a lost poke costs one time-out.
"""

import contextlib
import os
import socket
import threading
from pathlib import Path


class Wake:
    """One process's ear and voice in ``<data>/wake/``.

    `name` tells the processes apart; the socket of a process that died is removed by the next poke.
    """

    def __init__(self, data: Path, name: str) -> None:
        self._folder = data / "wake"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._folder / f"{name}-{os.getpid()}.sock"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A socket's name holds 107 bytes: through /proc it fits whatever the folder's path is.
        self._folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._socket.bind(self._address(self._path))
        self._condition = threading.Condition()
        self._count = 0
        self._open = True
        threading.Thread(target=self._listen, name="wake", daemon=True).start()

    def poke(self) -> None:
        """Wake every other process of the folder, and whoever waits in this one."""
        self._ring()
        for path in self._folder.glob("*.sock"):
            if path != self._path:
                _send(self._address(path), path)

    def seen(self) -> int:
        """Return how many pokes were heard; pass it to `wait` after looking at the store."""
        with self._condition:
            return self._count

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return when a poke came after `seen`, or after the time-out."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen or not self._open, timeout_s)

    def close(self) -> None:
        """Stop listening."""
        self._open = False
        self._ring()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._folder_fd)

    def _address(self, path: Path) -> str:
        return f"/proc/self/fd/{self._folder_fd}/{path.name}"

    def _ring(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def _listen(self) -> None:
        while self._open:
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
