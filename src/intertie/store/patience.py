"""Work that is done again when the database was away for a moment, as while it restarts."""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 15.0
_PAUSE_S, _PAUSE_S_MAX = 0.05, 0.5


def is_away(error: BaseException) -> bool:
    """Return whether the error says that the database cannot be reached, not that we erred.

    SQLite is never away: what it cannot do now, as with a full disk, it cannot do again.
    """
    if not isinstance(error, DBAPIError) or "sqlite" in type(error.orig).__module__:
        return False
    return error.connection_invalidated or isinstance(error, OperationalError)


def patiently(work: Callable[P, T]) -> Callable[P, T]:
    """Have a function wait for the database: it is called again until it is there.

    Only for what may be done twice: it may be called again after a commit whose answer was lost.
    Gives up, with the database's own error, after PATIENCE_S.
    """

    @wraps(work)
    def again(*given: P.args, **named: P.kwargs) -> T:
        ends, pause_s = time.monotonic() + PATIENCE_S, _PAUSE_S
        while True:
            try:
                return work(*given, **named)
            except DBAPIError as error:
                if not is_away(error) or time.monotonic() + pause_s > ends:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)

    return again
