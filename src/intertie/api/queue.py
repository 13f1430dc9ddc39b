"""The queue: `GET /v1/queue`."""

from fastapi import APIRouter

from intertie.api.contract import problems
from intertie.api.door import Door, Language, TheDoor
from intertie.api.identity import PROJECT, ProjectOrOperator
from intertie.api.queue_views import queue_view
from intertie.control.clock import now_ms
from intertie.store import reading
from intertie.wire.queue import QueueView

router = APIRouter(tags=["jobs"])


@router.get(
    "/queue",
    summary="Who waits, in which order, and until about when",
    responses=problems(401, 403, 503),
)
async def see_queue(door: TheDoor, bearer: ProjectOrOperator, lang: Language) -> QueueView:
    """The project's waiting jobs among all others, whose are not told; an operator sees all."""
    project = bearer.subject if bearer.role == PROJECT else 0
    _, answer = await door.ask("queue", project, {})
    return await door.run(_view, door, answer, lang)


def _view(door: Door, answer: dict[str, object], lang: str) -> QueueView:
    with reading.snapshot(door.engine) as connection:
        return queue_view(connection, answer, now_ms(), lang)
