"""What goes up for one attempt: its log by offset, its files by content."""

import shutil
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from intertie.agent import outputs
from intertie.agent.door import Door, Refused
from intertie.wire.sync import FileBody

LOG_CHUNK_BYTES = 1 << 20
STABLE_NS = 1_000_000_000
Kind = Literal["result", "checkpoint"]


@dataclass
class Uploads:
    """Remembers what the network has; a later agent finds out by asking."""

    door: Door
    agent: str
    lease: str
    token: str
    folder: Path
    bytes_max: int
    offset: int = 0
    sent: set[str] = field(default_factory=set)
    last: dict[Kind, list[outputs.Found]] = field(default_factory=dict)

    def send_log(self) -> None:
        """Send the log from where the network is to its end."""
        log = self.folder / "log"
        if not log.exists():
            return
        with log.open("rb") as file:
            while True:
                file.seek(self.offset)
                data = file.read(LOG_CHUNK_BYTES)
                if not data:
                    return
                self._put_log(data)

    def send_files(self, patterns: list[str], kind: Kind) -> list[FileBody]:
        """Send every file that matches, once the program is gone and they cannot change."""
        work = self.folder / "work"
        found = outputs.find(work, patterns, self.bytes_max) if patterns else []
        return [self._send(work, each, kind) for each in found]

    def send_stable(self, patterns: list[str], kind: Kind) -> list[FileBody] | None:
        """Send files of a running program; nothing if they are the last ones, or being written.

        Files are copied before they are hashed; if any changed meanwhile the copy is not one
        moment's state, and the next look will find a better one.
        """
        work = self.folder / "work"
        found = outputs.find(work, patterns, self.bytes_max)
        is_old = all(time.time_ns() - each.modified_ns > STABLE_NS for each in found)
        if not found or not is_old or found == self.last.get(kind):
            return None
        copy = self.folder / "outbox"
        shutil.rmtree(copy, ignore_errors=True)
        try:
            for each in found:
                (copy / each.path).parent.mkdir(parents=True, exist_ok=True)
                with (
                    outputs.open_inside(work, each.path) as file,
                    (copy / each.path).open("wb") as to,
                ):
                    outputs.digest(file, to)
            if outputs.find(work, patterns, self.bytes_max) != found:
                return None
            saved = [self._send(copy, each, kind) for each in found]
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        self.last[kind] = found
        return saved

    def _put_log(self, data: bytes) -> None:
        try:
            self.door.put_log(self.agent, self.lease, self.token, self.offset, data)
        except Refused as no:
            if no.status != HTTPStatus.CONFLICT or no.offset in (None, self.offset):
                raise
            self.offset = no.offset or 0
            return
        self.offset += len(data)

    def _send(self, root: Path, found: outputs.Found, kind: Kind) -> FileBody:
        with outputs.open_inside(root, found.path) as file:
            sha256, size = outputs.digest(file)
            if sha256 not in self.sent and not self.door.has_blob(sha256, self.token):
                file.seek(0)
                self.door.put_blob(sha256, size, file, self.token)
            self.sent.add(sha256)
        return FileBody(path=found.path, sha256=sha256, size_bytes=size, kind=kind)
