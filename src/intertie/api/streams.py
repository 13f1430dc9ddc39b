"""Server-sent events: a job's steps and a task's output, as they happen, from any point."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from intertie.api.door import Door
from intertie.api.job_views import event_views
from intertie.api.tasklogs import TaskLog
from intertie.model.job import Job
from intertie.model.states import JobState
from intertie.store import reading
from intertie.wire.base import plain
from intertie.wire.jobs import JobEvent

EVENT_STREAM = "text/event-stream"
HEARTBEAT_S = 15.0
# Another door may have taken the bytes: its bell is not heard here, so the log is looked at.
LOOK_S = 0.5
_HEARTBEAT = ": still here\n\n"
_EVENTS_MAX = 500


async def follow_events(door: Door, job: int, since: int, lang: str) -> AsyncIterator[str]:
    """Yield each event of a job after number `since`, then `end` once it has settled."""
    yield ": open\n\n"
    while True:
        found, is_over, number = await door.run(_look, door, job, since, lang)
        for event in found:
            since = event.number
            yield _event("state", event.number, plain(event))
        if found:
            continue
        if door.rounds.is_closed:
            return
        if is_over:
            yield _event("end", since, {"number": since})
            return
        began_s = time.monotonic()
        await door.rounds.after(number, HEARTBEAT_S)
        if time.monotonic() - began_s >= HEARTBEAT_S:
            yield _HEARTBEAT


async def follow_log(door: Door, log: TaskLog, offset: int) -> AsyncIterator[str]:
    """Yield what a task prints from `offset` on, then `end` once it is over and all is told."""
    yield ": open\n\n"
    told_s = time.monotonic()
    while True:
        piece = await door.run(log.read, door, offset)
        # A character that is cut in two waits for its other half while there may be one.
        whole = len(piece.content) - (0 if piece.is_over else _cut(piece.content))
        if whole:
            text = piece.content[:whole].decode("utf-8", "replace")
            at, offset = offset, offset + whole
            yield _event("log", offset, {"offset": at, "text": text})
            told_s = time.monotonic()
            continue
        if piece.is_over:
            yield _event("end", offset, {"offset": offset})
            return
        if door.rounds.is_closed:
            return
        await _wait(door, piece.lease, piece.round)
        if time.monotonic() - told_s >= HEARTBEAT_S:
            told_s = time.monotonic()
            yield _HEARTBEAT


async def _wait(door: Door, lease: int, number: int) -> None:
    """Return when the attempt printed, a round was committed, or it is time to look."""
    waits = (
        asyncio.ensure_future(door.printed.wait(lease, LOOK_S)),
        asyncio.ensure_future(door.rounds.after(number, LOOK_S)),
    )
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


def _look(door: Door, job: int, since: int, lang: str) -> tuple[list[JobEvent], bool, int]:
    with reading.snapshot(door.engine) as connection:
        found = event_views(connection, job, since, _EVENTS_MAX, lang)
        row = reading.find(connection, Job, job)
        number = reading.last_round(connection)[0]
    return found, row is not None and row.state == JobState.SETTLED, number


def _event(name: str, number: int, data: dict[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\nid: {number}\ndata: {text}\n\n"


def _cut(content: bytes) -> int:
    """Return how many bytes at the end begin a character that is not whole."""
    for back in range(1, min(3, len(content)) + 1):
        byte = content[-back]
        if byte >= 0b11000000:
            width = 2 + (byte >= 0b11100000) + (byte >= 0b11110000)
            return back if back < width else 0
        if byte < 0b10000000:
            return 0
    return 0
