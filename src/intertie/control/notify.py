"""Pokes between the processes of one PostgreSQL network, by LISTEN and NOTIFY.

A NOTIFY inside a transaction that writes would put all commits in one line (PostgreSQL locks the
whole database for it), so pokes go by a connection of their own, several at a time as one.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from intertie.store.postgres import session_settings

if TYPE_CHECKING:
    import psycopg

CHANNEL = "intertie"
# Between two notifications of one process: what is poked meanwhile goes as one.
PAUSE_S = 0.002
_AWAY_S = 0.1


class Notifications:
    """One connection and one thread that hear and pass on pokes; `ring` is called for each heard.

    While the database is away nothing is heard; when it is back, `ring` is called once.
    """

    def __init__(self, engine: Engine, ring: Callable[[], None]) -> None:
        self._engine, self._ring = engine, ring
        self._is_open = True
        self._told, self._tell = os.pipe()
        os.set_blocking(self._told, False)
        os.set_blocking(self._tell, False)
        self._thread = threading.Thread(target=self._live, name="notify", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        """Have the thread notify all others, soon."""
        with contextlib.suppress(BlockingIOError):  # full: it has been told often enough.
            os.write(self._tell, b"!")

    def close(self) -> None:
        """End the thread and its connection."""
        self._is_open = False
        self.poke()
        self._thread.join()
        os.close(self._tell)
        os.close(self._told)

    def _live(self) -> None:
        import psycopg

        while self._is_open:
            try:
                with self._connection() as connection:
                    self._ring()
                    while self._is_open:
                        self._attend(connection)
            except psycopg.Error:
                time.sleep(_AWAY_S)

    def _connection(self) -> "psycopg.Connection[Any]":
        import psycopg

        given, named = self._engine.dialect.create_connect_args(self._engine.url)
        settings = {**named, **session_settings(self._engine.url), "autocommit": True}
        connection = psycopg.connect(*given, **settings)
        connection.execute(f"LISTEN {CHANNEL}")
        return connection

    def _attend(self, connection: "psycopg.Connection[Any]") -> None:
        """Wait until there is something to hear or to pass on, and do it."""
        heard = {said.pid for said in connection.notifies(timeout=0)}
        if heard - {connection.info.backend_pid}:
            self._ring()
        both = select.poll()
        for each in (connection.fileno(), self._told):
            both.register(each, select.POLLIN)
        if self._told in dict(both.poll()):
            os.read(self._told, 65536)
            connection.execute(f"NOTIFY {CHANNEL}")
            time.sleep(PAUSE_S)
