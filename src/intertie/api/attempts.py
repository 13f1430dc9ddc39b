"""What attempts print, appended at an offset under a token of their own."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from intertie.api.contract import problems
from intertie.api.door import TheDoor
from intertie.api.identity import Attempt
from intertie.api.problems import Wrong
from intertie.store.logs import Gap, LogFull
from intertie.wire.base import FieldError

router = APIRouter(prefix="/agents", tags=["bulk"])

OFFSET = "X-Intertie-Offset"


@router.put(
    "/{agent}/attempts/{lease}/logs",
    status_code=204,
    summary="Append to the log of an attempt",
    responses=problems(401, 403, 404, 409, 413, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def append_log(
    door: TheDoor,
    lease: Attempt,
    request: Request,
    offset: Annotated[int, Query(ge=0, description="where these bytes begin in the log")],
) -> Response:
    """Append raw bytes. Sending a piece twice is fine; a gap is a 409 with the right offset."""
    piece = await request.body()
    try:
        size = await door.run(door.logs.append, lease.id, offset, piece)
    except Gap as gap:
        told = FieldError(field="offset", message=str(gap.offset))
        headers = {OFFSET: str(gap.offset)}
        raise Wrong(
            409, "offset_mismatch", "goes_on_at", errors=[told], headers=headers, offset=gap.offset
        ) from None
    except LogFull:
        raise Wrong(413, "too_large", "limit", limit_bytes=door.logs.bytes_max) from None
    door.printed.ring(lease.id)
    return Response(status_code=204, headers={OFFSET: str(size)})
