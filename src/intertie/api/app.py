"""The door as one app: every route of the contract under /v1."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from sqlalchemy import Engine
from starlette.routing import Route

import intertie
from intertie.api import (
    agents,
    attempts,
    blobs,
    books,
    contract,
    jobs,
    metrics,
    network,
    operations,
    parties,
    problems,
    queue,
    quotes,
    sessions,
    shares,
    webhooks,
    whatifs,
    work,
)
from intertie.api.door import make_door
from intertie.api.limits import BodyLimits
from intertie.api.overload import Overload
from intertie.control.wake import Wake
from intertie.store import reading
from intertie.store.blobs import Blobs
from intertie.store.loading import load_policy

PREFIX = "/v1"
ROUTERS = (
    network,
    quotes,
    jobs,
    queue,
    work,
    sessions,
    books,
    parties,
    shares,
    agents,
    attempts,
    blobs,
    webhooks,
    operations,
    whatifs,
)
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(
    engine: Engine,
    wake: Wake,
    data: Path,
    blobs: Blobs | None = None,
    work: Callable[[], None] = lambda: None,
) -> FastAPI:
    """Return the app of one door on a network's store and data folder, or other blobs.

    `work` is called when a what-if waits for its worker.
    """
    with reading.snapshot(engine) as connection:
        facts, policy = reading.network_facts(connection), load_policy(connection)
    app = FastAPI(
        title="Intertie",
        version=intertie.__version__,
        summary="The open compute network",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.is_draining = False
    app.state.door = make_door(engine, wake, data, facts, policy, blobs, work)
    app.add_middleware(BodyLimits)
    app.add_middleware(Overload)
    app.add_middleware(metrics.Metered)
    problems.install(app)
    # Most requests are syncs: they are found first, and by one look. (FastAPI would try every
    # router twice: measured, that cost more than all the rest of a sync.)
    app.router.routes.insert(
        0, Route(f"{PREFIX}/agents/{{agent}}/sync", agents.sync, methods=["POST"])
    )
    for room in ROUTERS:
        app.include_router(room.router, prefix=PREFIX)
    app.include_router(metrics.router)
    # The console may stand on the same app: what is unknown under /v1 must not fall through to it.
    app.add_api_route(PREFIX + "/{path:path}", _unknown, methods=_METHODS, include_in_schema=False)
    app.openapi = lambda: contract.document(app)  # type: ignore[method-assign]
    return app


async def _unknown(request: Request, path: str) -> None:
    """Answer 405 where another method would have been right, else 404."""
    allowed = contract.methods_at(request.app, request.url.path)
    if allowed:
        headers = {"Allow": ", ".join(sorted(allowed))}
        raise problems.Wrong(405, "method_not_allowed", headers=headers)
    raise problems.Wrong(404, "not_found", "no_route", path=request.url.path)
