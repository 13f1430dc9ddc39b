"""How large a body may be, by route; counted while it comes in."""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertie.api.problems import Wrong, problem
from intertie.model.units import MIB

JSON_BYTES_MAX = 1 * MIB
SPEC_BYTES_MAX = 32 * MIB  # the values of 100 000 tasks
SYNC_BYTES_MAX = 32 * MIB
LOG_PIECE_BYTES_MAX = 16 * MIB

_LIMITS: tuple[tuple[re.Pattern[str], int | None], ...] = (
    (re.compile(r"^/v1/blobs/"), None),  # the route counts for itself
    (re.compile(r"^/v1/agents/[^/]+/attempts/"), LOG_PIECE_BYTES_MAX),
    (re.compile(r"^/v1/agents/[^/]+/"), SYNC_BYTES_MAX),
    (re.compile(r"^/v1/(jobs|quotes)$"), SPEC_BYTES_MAX),
    (re.compile(r"^/v1/"), JSON_BYTES_MAX),
)


class BodyLimits:
    """Refuses a body that is larger than its route takes, before it is read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = limit_of(scope["path"]) if scope["type"] == "http" else None
        if limit is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await problem(request, _too_large(limit))(scope, receive, send)
            return
        await self.app(scope, _counting(receive, limit), send)


def limit_of(path: str) -> int | None:
    """Return how many bytes a body sent to this path may have; None where the route decides."""
    return next((limit for pattern, limit in _LIMITS if pattern.match(path)), None)


def _counting(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> Wrong:
    return Wrong(413, "too_large", "limit", headers={"Connection": "close"}, limit_bytes=limit)
