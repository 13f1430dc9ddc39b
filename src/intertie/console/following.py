"""Streams that run beside a page: a thread reads one, the page takes what has arrived."""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import httpx
from nicegui import ui

from intertie.client import Intertie, IntertieError
from intertie.client.pinning import split_address, trust
from intertie.console.visitors import Visitor

T = TypeVar("T")


class Follower(Generic[T]):
    """Reads a stream of the SDK in a thread of its own until it ends or is closed.

    It has a connection of its own, so that closing it breaks off a read that waits. Of what the
    page has not yet taken only the newest `waiting_max` pieces are kept.
    """

    def __init__(
        self,
        visitor: Visitor,
        lang: str,
        read: Callable[[Intertie], Iterator[T]],
        waiting_max: int = 5_000,
    ) -> None:
        self._line = _Line(visitor.url)
        self._network = visitor.connect(lang, self._line)
        self._read = read
        self._waiting: deque[T] = deque(maxlen=waiting_max)
        self._is_closed = threading.Event()
        self.error: IntertieError | None = None
        self.is_over = False
        threading.Thread(target=self._run, name="console-follower", daemon=True).start()

    def take(self) -> list[T]:
        """Return what has arrived since the last call."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    def close(self) -> None:
        """Stop reading at once."""
        self._is_closed.set()
        self._line.cut()
        self._network.close()

    def _run(self) -> None:
        try:
            for piece in self._read(self._network):
                if self._is_closed.is_set():
                    return
                self._waiting.append(piece)
        except IntertieError as error:
            self.error = error
        except (RuntimeError, ValueError):
            # A closed connection cannot be read from; anything else is a fault of this room.
            if not self._is_closed.is_set():
                raise
        finally:
            self.is_over = True


def while_open(start: Callable[[], None], stop: Callable[[], None]) -> None:
    """Start something whenever the page connects, stop it when the page is gone.

    A server that ends closes its pages first: what they follow must not hold it up.
    """
    client = ui.context.client

    def stop_unless_back() -> None:
        if not client.has_socket_connection:
            stop()

    client.on_connect(start)
    client.on_disconnect(stop_unless_back)
    client.on_delete(stop)


class _Line(httpx.HTTPTransport):
    """A transport whose connections another thread can cut.

    Closing a socket leaves a read that waits on it waiting; shutting it down ends the read.
    """

    def __init__(self, address: str) -> None:
        super().__init__(verify=trust(split_address(address)[1]))
        self._sockets: list[socket.socket] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        stream = response.extensions.get("network_stream")
        found = stream.get_extra_info("socket") if stream is not None else None
        if found is not None and found not in self._sockets:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0] + [found]
        return response

    def cut(self) -> None:
        """Shut every connection down."""
        for line in self._sockets:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
