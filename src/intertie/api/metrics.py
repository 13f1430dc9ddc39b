"""A door measured: every request counted and timed, and known by an id that its answer carries."""

import secrets
import time
from functools import cache
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from intertie.api.identity import Operator
from intertie.control import metrics
from intertie.control.logs import log

HEADER = b"x-intertie-request"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOBODY = 499  # who asked went away before there was an answer

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def see_metrics(bearer: Operator) -> Response:
    """Everything this door counts, for Prometheus; with the operator's token.

    Not by address: behind a proxy of the same machine every request comes from loopback.
    """
    content = await run_in_threadpool(metrics.exposition)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


class Metered:
    """Wraps everything else of a door: counts, times, and gives each request its id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["request_id"] = known_as = secrets.token_hex(6)
        # Each request is a task with a context of its own: nothing needs to be unbound.
        bind_contextvars(request=known_as)
        is_open, received, sent = _moving(_kind(scope))
        status, begun = _NOBODY, time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [each for each in message["headers"] if each[0].lower() != HEADER]
                message["headers"] = [*headers, (HEADER, known_as.encode())]
            elif size := len(message.get("body", b"")):
                sent.inc(size)
            await send(message)

        async def counted() -> Message:
            message = await receive()
            if size := len(message.get("body", b"")):
                received.inc(size)
            return message

        is_open.inc()
        try:
            await self.app(scope, counted, answer)
        except Exception:
            status = 500  # answered further out, by who catches everything
            raise
        finally:
            is_open.dec()
            _note(scope, status, time.perf_counter() - begun)


def _kind(scope: Scope) -> str:
    """Return what a request moves: syncs and streams wait, blobs and logs are large."""
    path: str = scope["path"]
    if path.endswith("/sync"):
        return "sync"
    if b"follow=" in scope.get("query_string", b""):
        return "stream"
    if path.startswith("/v1/blobs/"):
        return "blob"
    return "log" if path.endswith("/logs") else "other"


def _note(scope: Scope, status: int, took_s: float) -> None:
    route = _route(scope)
    method = scope["method"] if scope["method"] in _METHODS else "other"
    count, seconds = _answered(method, route, status)
    count.inc()
    seconds.observe(took_s)
    log.debug("answered", method=method, route=route, status=status, took_s=round(took_s, 6))


@cache
def _answered(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    counted = metrics.REQUESTS.labels(method, route, status)
    return counted, metrics.REQUEST_SECONDS.labels(route)


@cache
def _moving(kind: str) -> tuple[Gauge, Counter, Counter]:
    received, sent = metrics.RECEIVED.labels(kind), metrics.SENT.labels(kind)
    return metrics.OPEN.labels(kind), received, sent


def _route(scope: dict[str, Any] | Scope) -> str:
    """Return the template of the address, so that ids make no series of their own."""
    path = getattr(scope.get("route"), "path", None)
    is_api = scope["path"].startswith("/v1/")
    if path is None:
        return "none" if is_api else "console"
    return f"/v1{path}" if is_api and not path.startswith("/v1/") else str(path)
