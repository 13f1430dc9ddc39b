"""Content-addressed uploads that continue where they broke off, and checked downloads."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from intertie.client.errors import BadInput, IntertieError, problem_of
from intertie.client.folders import Packed, hash_of
from intertie.client.transport import Transport
from intertie.model.units import MIB
from intertie.wire.jobs import FileView

CHUNK_BYTES = 8 * MIB
OFFSET = "X-Intertie-Offset"
STALLS_MAX = 5

OnProgress = Callable[[int, int], None]


def upload(transport: Transport, packed: Packed, on_progress: OnProgress | None = None) -> str:
    """Put a packed folder where the network keeps blobs, unless it is there; return its hash.

    The network says how much it has (202 or 409 with an offset); the upload goes on from there.
    """
    where = f"blobs/{packed.sha256}"
    if transport.ask("HEAD", where, accept=(404,)).is_success:
        return packed.sha256
    say = on_progress or (lambda done, total: None)
    with packed.path.open("rb") as file:
        offset = stalls = 0
        while (held := _put(transport, where, file, offset, packed.size_bytes)) is not None:
            stalls = stalls + 1 if held <= offset else 0
            if stalls > STALLS_MAX or held > packed.size_bytes:
                detail = f"it stays at {offset} of {packed.size_bytes} bytes"
                raise BadInput(problem_of("offset_mismatch", "The upload does not get on", detail))
            offset = held
            say(offset, packed.size_bytes)
    say(packed.size_bytes, packed.size_bytes)
    return packed.sha256


def fetch(transport: Transport, job: str, file: FileView, to: Path) -> Path:
    """Bring one result file below `to`, checked against its hash; what is there already stays."""
    place = _inside(to, file.path)
    is_there = place.is_file() and place.stat().st_size == file.size_bytes
    if is_there and hash_of(place) == file.sha256:
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    digest = transport.save(f"jobs/{job}/files/{file.task}/{quote(file.path)}", part)
    if digest != file.sha256:
        part.unlink()
        raise IntertieError(
            problem_of("hash_mismatch", f"{file.path} came with other content than was promised")
        )
    part.replace(place)
    return place


def _put(
    transport: Transport, where: str, file: BinaryIO, offset: int, size_bytes: int
) -> int | None:
    """Send the next chunk; return the offset to go on from, or None when the blob is complete."""
    file.seek(offset)
    chunk = file.read(CHUNK_BYTES)
    headers = {"Content-Type": "application/octet-stream"}
    if len(chunk) < size_bytes:
        last = offset + len(chunk) - 1
        headers["Content-Range"] = f"bytes {offset}-{last}/{size_bytes}"
    response = transport.ask("PUT", where, content=chunk, headers=headers, accept=(409,))
    if response.status_code in (202, 409):
        return int(response.headers.get(OFFSET, 0))
    return None


def _inside(to: Path, path: str) -> Path:
    """Return where a file goes; a network that names a path outside the folder is not obeyed."""
    place = (to / path).resolve()
    if not place.is_relative_to(to.resolve()) or place == to.resolve():
        raise IntertieError(
            problem_of("bad_request", f"The network named a file outside the folder: {path!r}")
        )
    return place
