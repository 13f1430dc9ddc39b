"""The journal: what the agent has promised, written down and synced before it acts on it.

One JSON object a line. A line that was cut off by a crash was not acted on, and is dropped.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Journal:
    """An append-only file; `rewrite` replaces it as a whole with what is still needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def read(self) -> list[Entry]:
        """Return every whole entry, oldest first."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [entry for line in lines if (entry := _parse(line)) is not None]

    def rewrite(self, entries: list[Entry]) -> None:
        """Replace the journal; a crash leaves the old one or the new one, never half of it."""
        self.close()
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        file = _open(new)
        _write(file, entries)
        os.fsync(file)
        os.close(file)
        new.rename(self.path)
        _sync_folder(self.path.parent)
        self._file = _open(self.path)

    def append_many(self, entries: Sequence[Entry]) -> None:
        """Add entries; when this returns they are on disk, by one sync for all.

        OSError when the disk is full: none of them is there then.
        """
        if not entries:
            return
        if self._file < 0:
            self._file = _open(self.path)
        size_bytes = os.fstat(self._file).st_size
        try:
            _write(self._file, entries)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size_bytes)  # half a line would swallow the next one
            raise

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "kind" in entry else None


def _write(file: int, entries: Sequence[Entry]) -> None:
    data = b"".join(_line(entry) for entry in entries)
    while data:  # a disk with little room left takes a part
        data = data[os.write(file, data) :]


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
