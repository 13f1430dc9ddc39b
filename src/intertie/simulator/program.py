"""What a simulated task does when it runs: a program told by its environment.

``WORK_MS`` is the time on one reference unit (else the request's expected time), ``EXIT_CODE``
what it ends with, ``START`` is ``failed`` or ``declined`` where it never begins.
"""

from dataclasses import dataclass

from intertie.model.request import Request
from intertie.model.units import MILLI


@dataclass(frozen=True)
class Program:
    """One task's behaviour. `start` is empty where it starts as it should."""

    work_ms: int
    exit_code: int = 0
    start: str = ""


def program_of(request: Request, index: int) -> Program:
    """Return what one task of a request does."""
    told = dict(request.environment)
    if request.values:
        told |= dict(request.values[index])
    work_ms = (request.expected_s or request.time_limit_s) * MILLI
    return Program(
        work_ms=int(told.get("WORK_MS", work_ms)),
        exit_code=int(told.get("EXIT_CODE", 0)),
        start=told.get("START", ""),
    )
