"""The content of a blob as an answer: whole and checked, or the range that was asked for."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping

from fastapi import Request
from fastapi.responses import StreamingResponse

from intertie.api.door import Door
from intertie.api.problems import Wrong, not_found
from intertie.store.blobs import checked

BINARY = "application/octet-stream"
_RANGE = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})$")


async def content_of(
    door: Door,
    request: Request,
    sha: str,
    size_bytes: int,
    media_type: str = BINARY,
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """Return the content of a blob. One range is served; several at once are answered whole.

    A whole blob that is damaged breaks off before its last piece, so that nobody takes it for good.
    """
    tag = f'"{sha}"'
    told = {"ETag": tag, "Accept-Ranges": "bytes", **(headers or {})}
    asked = request.headers.get("range", "")
    span = _span(asked, size_bytes) if request.headers.get("if-range", tag) == tag else None
    if span is None:
        chunks = checked(door.blobs, sha, size_bytes)
        length = size_bytes
    else:
        first, length = span
        chunks = door.blobs.read(sha, first, length)
        told["Content-Range"] = f"bytes {first}-{first + length - 1}/{size_bytes}"
    try:
        begun = await door.move(next, chunks, b"")
    except KeyError:
        raise not_found("blob", sha) from None
    told["Content-Length"] = str(length)
    return StreamingResponse(
        _rest(door, begun, chunks), 200 if span is None else 206, told, media_type
    )


async def _rest(door: Door, begun: bytes, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    while content := await door.move(next, chunks, b""):
        yield content


def _span(asked: str, size_bytes: int) -> tuple[int, int] | None:
    """Return first byte and length of the range that is asked for; None for all of it."""
    match = _RANGE.match(asked.replace(" ", ""))
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    begin = int(first) if first else max(0, size_bytes - int(last))
    end = min(int(last) + 1, size_bytes) if first and last else size_bytes
    if begin >= size_bytes or begin >= end:
        told = {"Content-Range": f"bytes */{size_bytes}"}
        raise Wrong(416, "bad_request", "no_such_range", headers=told, size_bytes=size_bytes)
    return begin, end - begin
