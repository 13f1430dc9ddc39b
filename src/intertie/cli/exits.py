"""Exit codes, and how an error leaves the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intertie.client import IntertieError
    from intertie.wire.jobs import JobView

DONE = 0
JOB_FAILED = 1
BAD_INPUT = 2
REFUSED = 3
NOT_FOUND = 4
NO_ACCESS = 5
UNREACHABLE = 6
CANCELLED = 7
OUR_MISTAKE = 70
INTERRUPTED = 130

CODES = (
    DONE,
    JOB_FAILED,
    BAD_INPUT,
    REFUSED,
    NOT_FOUND,
    NO_ACCESS,
    UNREACHABLE,
    CANCELLED,
    OUR_MISTAKE,
    INTERRUPTED,
)


def code_of_error(error: IntertieError) -> int:
    """Return the exit code for an error of the SDK."""
    from intertie.client import BadInput, NoAccess, NotFound, Refused, Unreachable, WaitTimeout

    for kind, code in (
        (Refused, REFUSED),
        (NotFound, NOT_FOUND),
        (NoAccess, NO_ACCESS),
        (Unreachable, UNREACHABLE),
        (WaitTimeout, UNREACHABLE),
        (BadInput, BAD_INPUT),
    ):
        if isinstance(error, kind):
            return code
    return OUR_MISTAKE


def code_of_job(job: JobView) -> int:
    """Return the exit code for a job that has ended."""
    return {"done": DONE, "failed": JOB_FAILED, "cancelled": CANCELLED}.get(job.outcome, DONE)
