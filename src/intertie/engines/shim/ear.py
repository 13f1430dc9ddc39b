"""How an engine hears its shims on this machine: a socket that they poke at each change."""

import select
import socket
from contextlib import suppress

from intertie.engines.shim.status import poke


class Ear:
    """Hears pokes under a name; only one engine of a name hears."""

    def __init__(self, name: str, blind_s: float = 0.05) -> None:
        """`blind_s` is the longest wait of one that does not hear."""
        self.name = name
        self.blind_s = blind_s
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Hear from now on, unless another engine of this name does."""
        if self._socket is not None:
            return
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        wire.setblocking(False)
        try:
            wire.bind("\0" + self.name)
        except OSError:  # not Linux, or another engine listens
            wire.close()
            return
        self._socket = wire

    def wait(self, timeout_s: float) -> None:
        """Return when poked, or when the time is up; one that does not hear looks again soon."""
        if self._socket is None:
            select.select([], [], [], min(timeout_s, self.blind_s))
        elif select.select([self._socket], [], [], timeout_s)[0]:
            with suppress(BlockingIOError):
                while self._socket.recv(16):
                    pass

    def wake(self) -> None:
        """Make `wait` return now, in whichever engine hears."""
        poke(self.name)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
