"""Content by its hash: is it there, bring it, take it; whole or in pieces."""

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import FileResponse

from intertie.api.attempts import OFFSET
from intertie.api.bodies import inputs_of
from intertie.api.contract import Responses, problems
from intertie.api.door import Door, TheDoor
from intertie.api.identity import BlobHolder, Holder
from intertie.api.problems import Wrong, not_found
from intertie.model.units import MIB
from intertie.store import reading
from intertie.store.appending import own_blob, owns_blob
from intertie.store.blobs import BlobTooLarge, Busy, Misplaced, Upload, WrongHash
from intertie.wire.base import FieldError

router = APIRouter(prefix="/blobs", tags=["bulk"])

Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the content, in hex")]
_RANGE = re.compile(r"^(?:bytes )?(\d{1,18})-(\d{1,18})/(\d{1,18})$")
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
_FILE: Responses = {200: {"description": "the content", **_BINARY}}


@dataclass(frozen=True)
class Span:
    """Which part of a blob a request carries: first byte, bytes in it, bytes of the whole."""

    first: int
    size_bytes: int
    total_bytes: int


@router.head(
    "/{sha256}",
    summary="Ask whether a blob is there for this bearer",
    responses=problems(401, 403, 404, 422),
)
def has_blob(door: TheDoor, sha256: Sha, holder: BlobHolder) -> Response:
    """200 when the project has put it, or the attempt may read it; else 404."""
    path = _readable(door, sha256, holder, is_only_asked=True)
    return Response(headers={"Content-Length": str(path.stat().st_size)})


@router.get(
    "/{sha256}",
    summary="Fetch a blob",
    response_class=FileResponse,
    responses={**_FILE, **problems(401, 403, 404, 416, 422)},
)
def get_blob(door: TheDoor, sha256: Sha, holder: BlobHolder) -> FileResponse:
    """The content. A project reads what it owns, an attempt what its lease's body names."""
    path = _readable(door, sha256, holder, is_only_asked=False)
    return FileResponse(path, media_type="application/octet-stream")


@router.put(
    "/{sha256}",
    status_code=201,
    summary="Put a blob, whole or in pieces",
    response_class=Response,
    responses={
        200: {"description": "it was there already"},
        201: {"description": "it is whole and right"},
        202: {"description": "the piece is kept; X-Intertie-Offset says where to go on"},
        **problems(401, 403, 409, 413, 422, 503),
    },
    openapi_extra={"requestBody": {"required": True, **_BINARY}},
)
async def put_blob(
    door: TheDoor,
    sha256: Sha,
    holder: BlobHolder,
    request: Request,
    content_range: Annotated[
        str | None, Header(description="bytes a-b/total, to send the blob in pieces")
    ] = None,
    content_length: Annotated[int | None, Header(ge=0)] = None,
) -> Response:
    """Take content and check it against its name; wrong content is not kept.

    A blob belongs to whoever has shown its content: that somebody else put it does not count.
    """
    if await door.run(_has, door, sha256, holder):
        return Response(status_code=200)
    span = _span(content_range)
    declared = span.total_bytes if span else content_length or 0
    if declared > door.blobs.bytes_max:
        raise _too_large(door)
    try:
        if span is None:
            return await _take_whole(door, sha256, holder, request)
        return await _take_piece(door, sha256, holder, request, span)
    except BlobTooLarge:
        raise _too_large(door) from None
    except WrongHash:
        raise Wrong(422, "hash_mismatch", "wrong_hash") from None


async def _take_whole(door: Door, sha: str, holder: Holder, request: Request) -> Response:
    with ExitStack() as stack:
        upload = stack.enter_context(door.blobs.whole(sha))
        async for content in _pieces(request):
            await door.run(upload.write, content)
        await door.run(_finish, door, sha, holder, upload)
    return Response(status_code=201)


async def _take_piece(
    door: Door, sha: str, holder: Holder, request: Request, span: Span
) -> Response:
    owner = str(holder.project) if holder.lease is None else f"lease-{holder.lease.id}"
    with ExitStack() as stack:
        try:
            upload = stack.enter_context(door.blobs.piece(sha, owner, span.first))
        except Misplaced as wrong:
            headers = {OFFSET: str(wrong.offset)}
            raise Wrong(
                409, "offset_mismatch", "goes_on_at", headers=headers, offset=wrong.offset
            ) from None
        except Busy:
            raise Wrong(503, "unavailable", "upload_busy", headers={"Retry-After": "1"}) from None
        async for content in _pieces(request):
            if upload.size_bytes + len(content) > span.first + span.size_bytes:
                await door.run(upload.drop)
                raise _bad_range("the body is longer than its Content-Range says")
            await door.run(upload.write, content)
        await door.run(upload.flush)
        if upload.size_bytes < span.total_bytes:
            return Response(status_code=202, headers={OFFSET: str(upload.size_bytes)})
        await door.run(_finish, door, sha, holder, upload)
    return Response(status_code=201)


def _finish(door: Door, sha: str, holder: Holder, upload: Upload) -> None:
    upload.finish()
    own_blob(door.engine, sha, holder.project)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in pieces of about a MiB: each is written by a thread of its own."""
    gathered = bytearray()
    async for content in request.stream():
        gathered += content
        if len(gathered) >= MIB:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _span(text: str | None) -> Span | None:
    if text is None:
        return None
    match = _RANGE.match(text.strip())
    if match is None:
        raise _bad_range("write bytes a-b/total, such as bytes 0-1023/4096")
    first, last, total = (int(part) for part in match.groups())
    if not first <= last < total:
        raise _bad_range("the last byte must lie between the first byte and the total")
    return Span(first, last - first + 1, total)


def _has(door: Door, sha: str, holder: Holder) -> bool:
    return door.blobs.find(sha) is not None and owns_blob(door.engine, sha, holder.project)


def _readable(door: Door, sha: str, holder: Holder, *, is_only_asked: bool) -> FilePath:
    path = door.blobs.find(sha)
    if path is None or not owns_blob(door.engine, sha, holder.project):
        raise not_found("blob", sha)
    if holder.lease is not None and not is_only_asked:
        with reading.snapshot(door.engine) as connection:
            named = inputs_of(connection, holder.lease)
        if sha not in named:
            raise not_found("blob", sha)
    return path


def _too_large(door: Door) -> Wrong:
    return Wrong(413, "too_large", "limit", limit_bytes=door.blobs.bytes_max)


def _bad_range(message: str) -> Wrong:
    return Wrong(422, "bad_request", errors=[FieldError(field="Content-Range", message=message)])
