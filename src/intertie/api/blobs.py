"""Content by its hash: is it there, bring it, take it; whole or in pieces."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from anyio import CancelScope
from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import StreamingResponse

from intertie.api.attempts import OFFSET
from intertie.api.bodies import inputs_of
from intertie.api.contents import content_of
from intertie.api.contract import Responses, problems
from intertie.api.door import Door, TheDoor
from intertie.api.identity import BlobHolder, Holder
from intertie.api.problems import Wrong, not_found
from intertie.model.units import MIB
from intertie.store import reading
from intertie.store.appending import own_blob, owns_blob
from intertie.store.blobs import Blobs, BlobTooLarge, Busy, Misplaced, Upload, WrongHash
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
    responses=problems(401, 403, 404, 422, 503),
)
async def has_blob(door: TheDoor, sha256: Sha, holder: BlobHolder) -> Response:
    """200 when the project has put it, or the attempt may read it; else 404."""
    size_bytes = await door.move(_readable, door, sha256, holder, is_only_asked=True)
    return Response(headers={"Content-Length": str(size_bytes), "Accept-Ranges": "bytes"})


@router.get(
    "/{sha256}",
    summary="Fetch a blob",
    response_class=StreamingResponse,
    responses={**_FILE, **problems(401, 403, 404, 416, 422, 503)},
)
async def get_blob(
    door: TheDoor, sha256: Sha, holder: BlobHolder, request: Request
) -> StreamingResponse:
    """The content. A project reads what it owns, an attempt what its lease's body names."""
    size_bytes = await door.move(_readable, door, sha256, holder, is_only_asked=False)
    return await content_of(door, request, sha256, size_bytes)


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
    if await door.move(_has, door, sha256, holder):
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
    async with _begun(door, lambda: door.blobs.whole(sha)) as upload:
        async for content in _pieces(request):
            await door.move(upload.write, content)
        await door.move(_finish, door, sha, holder, upload)
    return Response(status_code=201)


async def _take_piece(
    door: Door, sha: str, holder: Holder, request: Request, span: Span
) -> Response:
    owner = str(holder.project) if holder.lease is None else f"lease-{holder.lease.id}"
    async with _begun(door, lambda: _begin_piece(door.blobs, sha, owner, span)) as upload:
        is_all_there = upload.size_bytes == span.total_bytes
        async for content in _pieces(request):
            if is_all_there:
                continue
            if upload.size_bytes + len(content) > span.first + span.size_bytes:
                await door.move(upload.drop)
                raise _bad_range("the body is longer than its Content-Range says")
            await door.move(upload.write, content)
        await door.move(upload.flush)
        if upload.size_bytes < span.total_bytes:
            return Response(status_code=202, headers={OFFSET: str(upload.size_bytes)})
        await door.move(_finish, door, sha, holder, upload)
    return Response(status_code=201)


def _begin_piece(blobs: Blobs, sha: str, owner: str, span: Span) -> Upload:
    """Go on with an upload; one whose last piece came before, but whose end did not, ends now."""
    try:
        return blobs.piece(sha, owner, span.first)
    except Misplaced as wrong:
        if wrong.offset != span.total_bytes:
            raise
        return blobs.piece(sha, owner, wrong.offset)


@asynccontextmanager
async def _begun(door: Door, begin: Callable[[], Upload]) -> AsyncIterator[Upload]:
    """Yield an upload, and let go of it whatever happens; a "no" of the store is the answer."""
    try:
        upload = await door.move(begin)
    except Misplaced as wrong:
        headers = {OFFSET: str(wrong.offset)}
        raise Wrong(
            409, "offset_mismatch", "goes_on_at", headers=headers, offset=wrong.offset
        ) from None
    except Busy:
        raise Wrong(503, "unavailable", "upload_busy", headers={"Retry-After": "1"}) from None
    try:
        yield upload
    finally:
        with CancelScope(shield=True):  # what came before the connection broke is kept
            await door.move(upload.close)


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
    return owns_blob(door.engine, sha, holder.project) and door.blobs.size(sha) is not None


def _readable(door: Door, sha: str, holder: Holder, *, is_only_asked: bool) -> int:
    """Return the size of a blob that this bearer may read."""
    is_own = owns_blob(door.engine, sha, holder.project)
    size_bytes = door.blobs.size(sha) if is_own else None
    if size_bytes is None:
        raise not_found("blob", sha)
    if holder.lease is not None and not is_only_asked:
        with reading.snapshot(door.engine) as connection:
            named = inputs_of(connection, holder.lease)
        if sha not in named:
            raise not_found("blob", sha)
    return size_bytes


def _too_large(door: Door) -> Wrong:
    return Wrong(413, "too_large", "limit", limit_bytes=door.blobs.bytes_max)


def _bad_range(message: str) -> Wrong:
    return Wrong(422, "bad_request", errors=[FieldError(field="Content-Range", message=message)])
