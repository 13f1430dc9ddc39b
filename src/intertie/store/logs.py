"""What attempts print: one append-only file for each lease, below ``<data>/logs/``."""

import fcntl
import os
from pathlib import Path

from intertie.model.ids import encode
from intertie.model.units import GIB

LOG_BYTES_MAX = 1 * GIB


class Gap(Exception):
    """The piece does not continue the log; `offset` is where it would."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the log goes on at {offset}")
        self.offset = offset


class LogFull(Exception):
    """The log has reached its largest size."""


class LogStore:
    """The logs of one data folder. Several doors may write and read at once."""

    def __init__(self, data: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._folder = data / "logs"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.bytes_max = bytes_max

    def append(self, lease: int, offset: int, piece: bytes) -> int:
        """Write what is new of a piece that begins at `offset`; return the log's size.

        What was written before is skipped, so that a piece may be sent twice. Raises Gap, LogFull.
        """
        with self._path(lease).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file.fileno()).st_size
            if offset > size:
                raise Gap(size)
            fresh = piece[size - offset :]
            if size + len(fresh) > self.bytes_max:
                raise LogFull
            file.write(fresh)
            return size + len(fresh)

    def size(self, lease: int) -> int:
        """Return how many bytes there are; 0 when nothing was printed."""
        try:
            return self._path(lease).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, lease: int, offset: int, bytes_max: int) -> bytes:
        """Return at most `bytes_max` bytes from `offset` on; empty at the end."""
        try:
            with self._path(lease).open("rb") as file:
                file.seek(offset)
                return file.read(bytes_max)
        except FileNotFoundError:
            return b""

    def _path(self, lease: int) -> Path:
        return self._folder / encode("lease", lease)
