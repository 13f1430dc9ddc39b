"""One attempt as the agent carries it: lay in, start, stream its log, save checkpoints, send files.

Each attempt is a run of steps and may be picked up at any point by a later agent: what the
network already has is found out by asking it, so every step may be repeated. Between two steps
others are carried; a step yields how long it wants to pause, in seconds.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from intertie.agent import inputs
from intertie.agent.book import Book, Record
from intertie.agent.door import Door, Refused, Unreachable
from intertie.agent.log import event
from intertie.agent.uploads import Kind, Uploads
from intertie.engines.protocol import Engine, EngineUnavailable, Observed
from intertie.wire.sync import FileBody, LeaseBody

STREAM_S = 0.25
# With many attempts each is looked at less often: so many looks a second in all.
STREAMS_PER_S = 400
SAVING_S = 5.0
T = TypeVar("T")
Pauses = Generator[float, None, T]
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Attempt:
    """Carries one record from taken to ended; `carried` counts the attempts beside it."""

    def __init__(
        self,
        record: Record,
        book: Book,
        engine: Engine,
        door: Door,
        agent: str,
        carried: Callable[[], int],
    ) -> None:
        assert record.body is not None, "an attempt without its body cannot be carried"
        self.record = record
        self.body: LeaseBody = record.body
        self.book = book
        self.engine = engine
        self.folder: Path = engine.folder(record.lease, record.token)
        token, disk_bytes = self.body.attempt_token, self.body.disk_bytes
        self.uploads = Uploads(door, agent, record.lease, token, self.folder, disk_bytes)
        self.door = door
        self.carried = carried
        self.saving_at = time.monotonic() + SAVING_S
        self.is_waiting = False

    def steps(self) -> Iterator[float]:
        """Carry the record to its end; each value is a pause in seconds."""
        try:
            if (yield from self._start()):
                yield from self._accompany()
                yield from self._send_files()
        except Forgotten:
            self._event("attempt forgotten")
        except Exception as error:
            self._event("attempt broke", reason=repr(error))
            yield from self._end_broken(repr(error))
            raise

    def _start(self) -> Pauses[bool]:
        """Start the program unless an earlier agent did; False if it cannot be."""
        is_new = not (self.folder / "spec.json").exists()
        try:
            if is_new:
                lay_in = partial(inputs.lay_in, self.door, self.body, self.folder)
                yield from self._until_reached(lay_in)
            for tries in count():
                if self._is_given_up(is_new):
                    return False
                try:
                    self.engine.start(self.record.lease, self.record.token, self.body)
                    break
                except EngineUnavailable as error:
                    if tries == 0:
                        self._event("engine away, the start waits", reason=error)
                yield RETRY_S[min(tries, len(RETRY_S) - 1)]
        except (inputs.BadInput, Refused, ValueError, OSError) as error:
            yield from self._until_written(partial(self._end_unstarted, "start_failed", str(error)))
            return False
        self._stop_if_told_meanwhile()
        self.engine.wake()
        return True

    def _is_given_up(self, is_new: bool) -> bool:
        """Say how long the lease lasts, or close the attempt if it may not start any more."""
        with self.book.changed:
            self._check_forgotten()
            left_ms = self.book.clock.left_ms(self.record.until)
            if is_new and (self.record.stop or not left_ms):
                cause, _ = self.record.stop or ("expired", 0)
                self._end_unstarted(cause, "")
                return True
            if is_new:  # else it was said, and perhaps renewed since
                self.engine.extend(*self.record.name, left_ms)
            return False

    def _stop_if_told_meanwhile(self) -> None:
        """Repeat a stop that may have come before the engine knew of the attempt."""
        with self.book.changed:
            if self.record.stop or self.record.is_forgotten:
                order = self.record.stop or ("superseded", 0)
                self.engine.stop(*self.record.name, *order)
            self._check_forgotten()

    def _accompany(self) -> Pauses[None]:
        """Stream the log, checkpoints and results while the program runs."""
        while (seen := self._seen()) is None or seen.state != "over":
            pause_s = max(STREAM_S, self.carried() / STREAMS_PER_S)
            if seen is not None and seen.state == "running":
                is_done = self._try(self.uploads.send_log) and self._try(self._save_files)
                pause_s = pause_s if is_done else max(1.0, pause_s)
            yield pause_s

    def _send_files(self) -> Pauses[None]:
        """Send what is left: the log to its last byte, results, the last checkpoint."""
        self._event("attempt over", cause=self._cause())
        notes: list[str] = []
        files: list[FileBody] = []
        for send in (self._rest_of_log, self._results, self._last_checkpoint):
            try:
                files += (yield from self._until_reached(send)) or []
            except (Refused, OSError) as error:
                notes.append(f"not sent: {error}")
        kept = {(file.path, file.kind) for file in files}
        saved = self.record.saved.get("checkpoint", [])
        files += [file for file in saved if (file.path, file.kind) not in kept]
        while self._seen() and not self.record.is_final:
            yield STREAM_S
        yield from self._until_written(partial(self._end, files, "; ".join(notes)))
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
                self._event("files saved", kind=kind, files=len(saved))

    def _try(self, act: Callable[[], object]) -> bool:
        """Do what may as well be done later: an unreachable network is tried again next time."""
        try:
            act()
        except (Unreachable, Refused, OSError) as error:
            if not self.is_waiting:
                self._event("upload waits", reason=error)
            self.is_waiting = True
            return False
        self.is_waiting = False
        return True

    def _until_reached(self, act: Callable[[], T]) -> Pauses[T]:
        """Do what must be done, however long the network is away; jobs run on meanwhile."""
        tries = 0
        while True:
            try:
                return act()
            except Unreachable as error:
                if tries == 0:
                    self._event("network away", reason=error)
            yield RETRY_S[min(tries, len(RETRY_S) - 1)]
            self._seen()
            tries += 1

    def _until_written(self, act: Callable[[], None]) -> Pauses[None]:
        """Do what ends the attempt, however long the disk is full: nobody else will end it."""
        tries = 0
        while True:
            try:
                with self.book.changed:
                    self._check_forgotten()
                    act()
            except OSError as error:
                if tries == 0:
                    self._event("the end cannot be written down", reason=error)
            else:
                return
            yield RETRY_S[min(tries, len(RETRY_S) - 1)]
            tries += 1

    def _seen(self) -> Observed | None:
        """Return what is seen of the attempt; raises Forgotten."""
        with self.book.changed:
            self._check_forgotten()
            return self.record.seen

    def _event(self, what: str, **values: Any) -> None:
        event(what, lease=self.record.lease, job=self.body.job, **values)

    def _cause(self) -> str:
        return self.record.seen.cause if self.record.seen else "none"

    def _end_broken(self, detail: str) -> Pauses[None]:
        """End an attempt that this agent cannot carry, so that the network need not wait for it."""
        stop = partial(self.engine.stop, self.record.lease, self.record.token, "lost", 0)
        with suppress(Forgotten):
            yield from self._until_written(stop)
            while (seen := self._seen()) is not None and seen.state != "over":
                yield STREAM_S
            files = list(self.record.saved.get("checkpoint", []))
            yield from self._until_written(partial(self._end, files, detail))

    def _end(self, files: list[FileBody], note: str) -> None:
        self.book.end(self.record, self.record.observed("ended", files, note))

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
        self._event("attempt not started", cause=cause, detail=detail)


class Forgotten(Exception):
    """The network has booked the lease: there is nothing left to carry."""
