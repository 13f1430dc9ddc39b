"""Streams that run beside a page: a thread reads one, the page takes what has arrived."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from intertie.client import Intertie, IntertieError
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
        self._network = visitor.connect(lang)
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
        """Stop reading; the thread ends at its next piece or time-out."""
        self._is_closed.set()
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
