"""Is the network there, who am I, and what is on offer."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import intertie
from intertie.api.contract import problems
from intertie.api.door import TheDoor
from intertie.api.identity import OPERATOR, Anyone
from intertie.api.pages import After, Limit, after_number, page
from intertie.api.party_views import offer_views
from intertie.api.problems import Wrong
from intertie.control.clock import now_ms
from intertie.control.leadership import led
from intertie.model.ids import decode, encode
from intertie.store import reading
from intertie.wire.base import Page
from intertie.wire.market import OfferView
from intertie.wire.parties import HealthView, WhoAmI

router = APIRouter()

# An inbox row that waits longer than this says that no decider is at work.
SILENT_MS = 10_000


@router.get("/health", tags=["network"], summary="Is the network there", responses=problems())
def see_health(door: TheDoor) -> HealthView:
    """Liveness is the answer itself; `is_ready` says whether rounds take what is asked."""
    with reading.snapshot(door.engine) as connection:
        number, at = reading.last_round(connection)
        reason, waiting_ms = _why_not(connection)
        network = reading.network_facts(connection)
    return HealthView(
        is_ready=not reason,
        network=network.name,
        version=intertie.__version__,
        incarnation=network.incarnation,
        round=number,
        round_at=at or None,
        waiting_ms=waiting_ms,
    )


@router.get(
    "/health/ready",
    tags=["network"],
    summary="Whether this door should get traffic",
    responses=problems(503),
)
def see_ready(door: TheDoor, request: Request) -> HealthView:
    """For load balancers: 200 while the database answers, somebody leads and rounds are taken.

    503 otherwise, and once the door was told to end.
    """
    if request.app.state.is_draining:
        raise _not_ready("draining")
    try:
        with reading.snapshot(door.engine) as connection:
            reason, _ = _why_not(connection)
    except SQLAlchemyError:
        reason = "database_away"
    if reason:
        raise _not_ready(reason)
    return see_health(door)


def _not_ready(reason: str) -> Wrong:
    return Wrong(503, reason, headers={"Retry-After": "1"})


def _why_not(connection: Connection) -> tuple[str, int]:
    """Return why rounds do not take what is asked, if so, and the age of the oldest ask (ms)."""
    waiting_at = reading.oldest_waiting_at(connection)
    waiting_ms = 0 if waiting_at is None else max(0, now_ms() - waiting_at)
    if not led(connection).left_ms:
        return "no_leader", waiting_ms
    return ("rounds_stalled" if waiting_ms >= SILENT_MS else ""), waiting_ms


@router.get(
    "/me", tags=["network"], summary="Who the bearer of the token is", responses=problems(401, 403)
)
def see_me(door: TheDoor, bearer: Anyone) -> WhoAmI:
    """Role, id and name of the bearer."""
    name = OPERATOR
    if bearer.role != OPERATOR:
        with reading.snapshot(door.engine) as connection:
            name = reading.document(connection, bearer.role, bearer.subject).name
    return WhoAmI(
        role=bearer.role,
        id=encode(bearer.role, bearer.subject) if bearer.subject else None,
        name=name,
        network=door.network.name,
        version=intertie.__version__,
    )


@router.get(
    "/offers",
    tags=["market"],
    summary="What providers offer now",
    responses=problems(401, 403, 422),
)
def list_offers(
    door: TheDoor, bearer: Anyone, limit: Limit = 100, after: After = None
) -> Page[OfferView]:
    """Every listed offer: speed, price by hour and by service unit, and what is free."""
    since = after_number("offer", after) or 0
    with reading.snapshot(door.engine) as connection:
        views = [view for view in offer_views(connection) if decode("offer", view.id) > since]
    return page(views, limit, views[:limit], lambda view: view.id)
