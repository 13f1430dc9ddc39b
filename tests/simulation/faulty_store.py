"""A store that fails, dies or pauses at the n-th statement, or on either side of a commit."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from intertie.store.database import open_database

# At a statement; just before a commit; just after it took effect, which nobody was told.
WHERE = ("statement", "commit", "committed")


class Killed(BaseException):
    """The process was killed here; nothing catches it."""


class FaultyStore:
    """One process's engine on the shared database. At most one fault is armed at a time."""

    def __init__(self, url: str, pause: Callable[[], None] | None = None) -> None:
        self.engine = open_database(url)
        self.done: Counter[str] = Counter()
        self.statements = 0
        self._pause = pause
        self._armed: tuple[str, str] | None = None
        self._left = 0
        _hurry(self.engine)
        event.listen(self.engine, "before_cursor_execute", self._statement)
        self._do_begin = self.engine.begin
        self.engine.begin = self._begin  # type: ignore[method-assign]
        self._do_commit: Callable[[Any], None] = self.engine.dialect.do_commit
        self.engine.dialect.do_commit = self._commit  # type: ignore[method-assign]

    def arm(self, how: str, where: str, count: int) -> None:
        """Let the `count`-th statement or commit from now `kill`, `fail`, be `away`, or `pause`."""
        self._armed, self._left = (how, where), max(1, count)

    def disarm(self) -> None:
        self._armed = None

    def close(self) -> None:
        self.disarm()
        self.engine.dispose()

    def _statement(self, *_: object) -> None:
        self.statements += 1
        self._step("statement")

    def _begin(self) -> Any:
        """Pause where a process may stand for long: it has read, and has locked nothing yet."""
        if self._armed == ("pause", "begin") and self._pause is not None:
            self._armed = None
            self.done["pause"] += 1
            self._pause()
        return self._do_begin()

    def _commit(self, connection: Any) -> None:
        self._step("commit")
        self._do_commit(connection)
        self._step("committed")

    def _step(self, where: str) -> None:
        if self._armed is None or self._armed[1] != where or self._armed[0] == "pause":
            return
        self._left -= 1
        if self._left:
            return
        how = self._armed[0]
        self._armed = None
        self.done[f"{how} at {where}"] += 1
        if how == "kill":
            raise Killed
        # "away" is waited for as PostgreSQL is while it restarts; what SQLite says is final.
        away = sqlite3.OperationalError if how == "fail" else ConnectionError
        raise OperationalError("", {}, away("the store is gone"))


def _hurry(engine: Engine) -> None:
    """Nobody pulls the plug of the machine here, so that no write waits for the disk."""
    if engine.dialect.name == "sqlite":

        def prepare(raw: Any, _: object) -> None:
            raw.execute("PRAGMA synchronous=OFF").close()

        event.listen(engine, "connect", prepare)
