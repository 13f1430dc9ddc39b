"""Content by its SHA-256: what a store of blobs does, and the one that keeps them in a folder.

A blob appears under its name only when it is whole and right. What is still on its way stands
apart: one upload for each owner that sends pieces, a private one for each whole upload, so that
two writers of the same blob cannot spoil each other's.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from intertie.model.units import GIB, MIB

BLOB_BYTES_MAX = 20 * GIB
_NAME = re.compile(r"[0-9a-f]{64}")


class WrongHash(Exception):
    """The content is not what its name says; nothing was kept."""


class Damaged(Exception):
    """A blob that was right when it came is not any more: the store has lost it."""


class BlobTooLarge(Exception):
    """The blob is larger than the network takes; nothing was kept."""


class Misplaced(Exception):
    """The piece does not continue the upload; `offset` is where it would."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload goes on at {offset}")
        self.offset = offset


class Busy(Exception):
    """Another piece of the same upload is on its way."""


class StoreAway(Exception):
    """The store did not answer, or not well. What was acknowledged is there; try again later."""


class Upload(Protocol):
    """A blob on its way in; `size_bytes` is how much of it there is. Close it in any case."""

    size_bytes: int

    def write(self, content: bytes) -> None:
        """Write what comes next; raises BlobTooLarge when that is too much."""

    def flush(self) -> None:
        """Keep what was written, so that another door can go on from there."""

    def finish(self) -> None:
        """Make it a blob, durable on return; raises WrongHash and keeps nothing then."""

    def drop(self) -> None:
        """Keep nothing of it."""

    def close(self) -> None:
        """Let go of it: pieces stay for the next piece, a whole upload that is unfinished goes."""


class Blobs(Protocol):
    """A store of blobs. Several doors may write and read at once; every verb may wait."""

    bytes_max: int

    def size(self, sha: str) -> int | None:
        """Return how many bytes a whole blob has, or None."""

    def read(self, sha: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """Yield a part of a whole blob; raises KeyError before the first piece if it is gone."""

    def whole(self, sha: str) -> Upload:
        """Begin an upload that is thrown away unless it is finished."""

    def piece(self, sha: str, owner: str, offset: int) -> Upload:
        """Go on with an owner's upload at `offset`.

        Raises Misplaced, and Busy while another piece of the same upload is on its way.
        """


def checked(blobs: Blobs, sha: str, size_bytes: int) -> Iterator[bytes]:
    """Yield a whole blob; raises Damaged instead of its last piece if the content is not right."""
    digest, last = sha256(), b""
    for content in blobs.read(sha, 0, size_bytes):
        if last:
            yield last
        digest.update(content)
        last = content
    if digest.hexdigest() != sha:
        raise Damaged(f"blob {sha} is damaged: its content has another hash")
    yield last


def check_sha(sha: str) -> str:
    """Return a name; that it is one was looked at by the door."""
    assert _NAME.fullmatch(sha), "the door checks names before it asks for blobs"
    return sha


class FolderBlobs:
    """The blobs of one data folder, below ``<data>/blobs/<first two digits>/``."""

    def __init__(self, data: Path, bytes_max: int = BLOB_BYTES_MAX) -> None:
        self._folder = data / "blobs"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.bytes_max = bytes_max

    def size(self, sha: str) -> int | None:
        path = self._path(sha)
        return path.stat().st_size if path.is_file() else None

    def read(self, sha: str, first: int, size_bytes: int) -> Iterator[bytes]:
        try:
            file = self._path(sha).open("rb")
        except FileNotFoundError:
            raise KeyError(sha) from None
        with file:
            file.seek(first)
            while content := file.read(min(MIB, size_bytes)):
                size_bytes -= len(content)
                yield content

    def whole(self, sha: str) -> Upload:
        path = self._place(f"{sha}.{secrets.token_hex(8)}.part", sha)
        return FolderUpload(self, sha, path, path.open("xb"), 0, is_kept=False)

    def piece(self, sha: str, owner: str, offset: int) -> Upload:
        path = self._place(f"{sha}.{owner}.part", sha)
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(file.fileno()).st_size
            is_gone = not path.exists()  # another piece was the last one, a moment ago
            if is_gone or offset != size:
                raise Misplaced(0 if is_gone else size)
        except BlockingIOError:
            file.close()
            raise Busy from None
        except Misplaced:
            file.close()
            raise
        return FolderUpload(self, sha, path, file, size, is_kept=True)

    def keep(self, sha: str, part: Path) -> None:
        """Give a part its name when its content is right, durable on return; raises WrongHash."""
        if _hash_of(part) != sha:
            part.unlink(missing_ok=True)
            raise WrongHash
        path = self._path(sha)
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, sha: str) -> Path:
        return self._folder / check_sha(sha)[:2] / sha

    def _place(self, name: str, sha: str) -> Path:
        folder = self._path(sha).parent
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / name


class FolderUpload:
    """A file on its way in."""

    def __init__(
        self,
        store: FolderBlobs,
        sha: str,
        part: Path,
        file: BinaryIO,
        size_bytes: int,
        *,
        is_kept: bool,
    ) -> None:
        self._store, self._sha, self._part, self._file = store, sha, part, file
        self._is_kept = is_kept
        self.size_bytes = size_bytes

    def write(self, content: bytes) -> None:
        if self.size_bytes + len(content) > self._store.bytes_max:
            self.drop()
            raise BlobTooLarge
        self._file.write(content)
        self.size_bytes += len(content)

    def flush(self) -> None:
        self._file.flush()

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._store.keep(self._sha, self._part)

    def drop(self) -> None:
        with suppress(FileNotFoundError):
            self._part.unlink()

    def close(self) -> None:
        self._file.close()
        if not self._is_kept:
            self.drop()


def _hash_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while content := file.read(MIB):
            digest.update(content)
    return digest.hexdigest()
