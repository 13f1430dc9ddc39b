"""One attempt as the agent carries it: lay in, start, stream its log, save checkpoints, send files.

Each attempt has a thread of its own and may be picked up at any point by a later agent: what the
network already has is found out by asking it, so every step may be repeated.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TypeVar

from intertie.agent import inputs
from intertie.agent.book import Book, Record
from intertie.agent.door import Door, Refused, Unreachable
from intertie.agent.log import event
from intertie.agent.uploads import Kind, Uploads
from intertie.engines.protocol import Engine, EngineUnavailable, Observed
from intertie.wire.sync import FileBody, LeaseBody

STREAM_S = 0.25
SAVING_S = 5.0
T = TypeVar("T")
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Attempt(Thread):
    """Carries one record from taken to ended."""

    def __init__(self, record: Record, book: Book, engine: Engine, door: Door, agent: str) -> None:
        super().__init__(name=f"{record.lease}-{record.token}", daemon=True)
        assert record.body is not None, "an attempt without its body cannot be carried"
        self.record = record
        self.body: LeaseBody = record.body
        self.book = book
        self.engine = engine
        self.folder: Path = engine.folder(record.lease, record.token)
        token, disk_bytes = self.body.attempt_token, self.body.disk_bytes
        self.uploads = Uploads(door, agent, record.lease, token, self.folder, disk_bytes)
        self.door = door
        self.saving_at = time.monotonic() + SAVING_S
        self.is_waiting = False

    def run(self) -> None:
        try:
            if self._start():
                self._accompany()
                self._send_files()
        except Forgotten:
            event("attempt forgotten", lease=self.record.lease)
        except Exception as error:
            event("attempt broke", lease=self.record.lease, reason=repr(error))
            self._end_broken(repr(error))
            raise

    def _start(self) -> bool:
        """Start the program unless an earlier agent did; False if it cannot be."""
        is_new = not (self.folder / "spec.json").exists()
        try:
            if is_new:
                self._until_reached(lambda: inputs.lay_in(self.door, self.body, self.folder))
            with self.book.changed:
                self._check_forgotten()
                if is_new and self.record.stop:
                    self._end_unstarted(self.record.stop[0], "")
                    return False
                if is_new:  # else it was said, and perhaps renewed since
                    self.engine.extend(self.record.lease, self.record.token, self.record.until)
                self.engine.start(self.record.lease, self.record.token, self.body)
        except (inputs.BadInput, EngineUnavailable, Refused, ValueError, OSError) as error:
            with self.book.changed:
                self._end_unstarted("start_failed", str(error))
            return False
        self.engine.wake()
        return True

    def _accompany(self) -> None:
        """Stream the log, checkpoints and results while the program runs."""
        while (seen := self._wait()) is None or seen.state != "over":
            if seen is not None and seen.state == "running":
                self._try(self.uploads.send_log)
                self._try(self._save_files)

    def _send_files(self) -> None:
        """Send what is left: the log to its last byte, results, the last checkpoint."""
        event("attempt over", lease=self.record.lease, cause=self._cause())
        notes: list[str] = []
        files: list[FileBody] = []
        for send in (self._rest_of_log, self._results, self._last_checkpoint):
            try:
                files += self._until_reached(send) or []
            except (Refused, OSError) as error:
                notes.append(f"not sent: {error}")
        kept = {(file.path, file.kind) for file in files}
        saved = self.record.saved.get("checkpoint", [])
        files += [file for file in saved if (file.path, file.kind) not in kept]
        with self.book.changed:
            self._check_forgotten()
            ended = self.record.observed("ended", files, "; ".join(notes))
            self.book.end(self.record, ended)
        self.engine.wake()

    def _rest_of_log(self) -> list[FileBody]:
        self.uploads.send_log()
        return []

    def _results(self) -> list[FileBody]:
        return self.uploads.send_files(self.body.results, "result")

    def _last_checkpoint(self) -> list[FileBody]:
        saved = [self.body.checkpoint_path] if self.body.checkpoint_path else []
        return self.uploads.send_files(saved, "checkpoint")

    def _save_files(self) -> None:
        """Send checkpoint and results as they stand, when they stand still."""
        if time.monotonic() < self.saving_at:
            return
        self.saving_at = time.monotonic() + SAVING_S
        checkpoint = [self.body.checkpoint_path] if self.body.checkpoint_path else []
        wanted: tuple[tuple[Kind, list[str]], ...] = (
            ("checkpoint", checkpoint),
            ("result", self.body.results),
        )
        for kind, patterns in wanted:
            saved = self.uploads.send_stable(patterns, kind) if patterns else None
            if saved is not None:
                with self.book.changed:
                    self.record.saved[kind] = saved
                event("files saved", lease=self.record.lease, kind=kind, files=len(saved))

    def _try(self, act: Callable[[], object]) -> None:
        """Do what may as well be done later: an unreachable network is tried again next time."""
        try:
            act()
            self.is_waiting = False
        except (Unreachable, Refused, OSError) as error:
            if not self.is_waiting:
                event("upload waits", lease=self.record.lease, reason=error)
            self.is_waiting = True
            self._pause(1.0)

    def _until_reached(self, act: Callable[[], T]) -> T:
        """Do what must be done, however long the network is away; jobs run on meanwhile."""
        tries = 0
        while True:
            try:
                return act()
            except Unreachable as error:
                if tries == 0:
                    event("network away", lease=self.record.lease, reason=error)
                self._pause(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1

    def _wait(self) -> Observed | None:
        """Return what is seen of the attempt, at the latest after a moment."""
        with self.book.changed:
            if self.record.seen is None or self.record.seen.state != "over":
                self.book.changed.wait(STREAM_S)
            self._check_forgotten()
            return self.record.seen

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        with self.book.changed:
            self._check_forgotten()

    def _cause(self) -> str:
        return self.record.seen.cause if self.record.seen else "none"

    def _end_broken(self, detail: str) -> None:
        """End an attempt that this agent cannot carry, so that the network need not wait for it."""
        self.engine.stop(self.record.lease, self.record.token, "lost", 0)
        with suppress(Forgotten):
            while (seen := self._wait()) is not None and seen.state != "over":
                continue
            with self.book.changed:
                self._check_forgotten()
                files = list(self.record.saved.get("checkpoint", []))
                self.book.end(self.record, self.record.observed("ended", files, detail))

    def _check_forgotten(self) -> None:
        if self.record.is_forgotten:
            raise Forgotten

    def _end_unstarted(self, cause: str, detail: str) -> None:
        """Close an attempt that never ran; the engine may not start it later either."""
        self._check_forgotten()
        seen = Observed(self.record.lease, self.record.token, "over", cause, detail=detail[:1500])
        self.engine.stop(self.record.lease, self.record.token, cause, 0)
        self.record.seen = seen
        self.book.end(self.record, self.record.observed("ended", []))
        event("attempt not started", lease=self.record.lease, cause=cause, detail=detail)


class Forgotten(Exception):
    """The network has booked the lease: there is nothing left to carry."""
