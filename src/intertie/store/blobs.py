"""Content by its SHA-256, below ``<data>/blobs/<first two digits>/``.

A blob appears under its name only when it is whole and right. What is still on its way is in a
``.part`` file: one for each owner that sends pieces, a private one for each whole upload, so that
two writers of the same blob cannot spoil each other's.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from intertie.model.units import GIB, MIB

BLOB_BYTES_MAX = 20 * GIB
_NAME = re.compile(r"[0-9a-f]{64}")


class WrongHash(Exception):
    """The content is not what its name says; nothing was kept."""


class BlobTooLarge(Exception):
    """The blob is larger than the network takes; nothing was kept."""


class Misplaced(Exception):
    """The piece does not continue the upload; `offset` is where it would."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload goes on at {offset}")
        self.offset = offset


class Busy(Exception):
    """Another piece of the same upload is on its way."""


class BlobStore:
    """The blobs of one data folder. Several doors may write and read at once."""

    def __init__(self, data: Path, bytes_max: int = BLOB_BYTES_MAX) -> None:
        self._folder = data / "blobs"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.bytes_max = bytes_max

    def find(self, sha: str) -> Path | None:
        """Return the file of a whole blob, or None."""
        path = self._path(sha)
        return path if path.is_file() else None

    @contextmanager
    def whole(self, sha: str) -> Iterator["Upload"]:
        """Yield an upload that is thrown away unless it is finished."""
        path = self._place(f"{sha}.{secrets.token_hex(8)}.part", sha)
        try:
            with path.open("xb") as file:
                yield Upload(self, sha, path, file, 0)
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def piece(self, sha: str, owner: str, offset: int) -> Iterator["Upload"]:
        """Yield an owner's upload at `offset`; what was written stays for the next piece.

        Raises Misplaced, and Busy while another piece of the same upload is on its way.
        """
        path = self._place(f"{sha}.{owner}.part", sha)
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy from None
            size = os.fstat(file.fileno()).st_size
            is_gone = not path.exists()  # another piece was the last one, a moment ago
            if is_gone or offset != size:
                raise Misplaced(0 if is_gone else size)
            yield Upload(self, sha, path, file, size)

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
        assert _NAME.fullmatch(sha), "the door checks names before it asks for blobs"
        return self._folder / sha[:2] / sha

    def _place(self, name: str, sha: str) -> Path:
        folder = self._path(sha).parent
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / name


class Upload:
    """A blob on its way in; `size_bytes` is how much of it there is."""

    def __init__(
        self, store: BlobStore, sha: str, part: Path, file: BinaryIO, size_bytes: int
    ) -> None:
        self._store, self._sha, self._part, self._file = store, sha, part, file
        self.size_bytes = size_bytes

    def write(self, content: bytes) -> None:
        """Write what comes next; raises BlobTooLarge when that is too much."""
        if self.size_bytes + len(content) > self._store.bytes_max:
            self.drop()
            raise BlobTooLarge
        self._file.write(content)
        self.size_bytes += len(content)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def finish(self) -> None:
        """Make it a blob; raises WrongHash and keeps nothing when its content is wrong."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._store.keep(self._sha, self._part)

    def drop(self) -> None:
        """Keep nothing of it."""
        with suppress(FileNotFoundError):
            self._part.unlink()


def _hash_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while content := file.read(MIB):
            digest.update(content)
    return digest.hexdigest()
