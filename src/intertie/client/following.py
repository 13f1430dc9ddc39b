"""Following a job: its events, its logs and its end, over broken connections."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from intertie.client.errors import WaitTimeout, problem_of
from intertie.client.streams import ServerEvent
from intertie.client.transport import STREAM_SILENCE_S, Transport
from intertie.wire.jobs import JobEvent, JobView

OVER = ("ended", "settled")
SETTLE_S = 15.0
OnEvent = Callable[[JobEvent], None]


def events(
    transport: Transport,
    job: str,
    last: int,
    silence_s: float = STREAM_SILENCE_S,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[JobEvent]:
    """Return the events of a job after number `last` as they happen, until it has settled."""

    def resume(seen: ServerEvent | None) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        number = seen.id if seen else (str(last) if last else "")
        return {"follow": "true"}, {"Last-Event-ID": number} if number else {}

    where = f"jobs/{job}/events"
    over = partial(_is_over, transport, job)
    for event in transport.listen(where, resume, over, silence_s, tick):
        yield JobEvent.model_validate_json(event.data)


def log(
    transport: Transport, job: str, task: int, offset: int, attempt: int | None
) -> Iterator[str]:
    """Return the log of a task piece by piece as it is written, until the task has ended."""
    at = offset

    def resume(_: ServerEvent | None) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        asked = {"follow": "true", "offset": at}
        return asked | ({} if attempt is None else {"attempt": attempt}), {}

    where = f"jobs/{job}/tasks/{task}/logs"
    for event in transport.listen(where, resume, partial(_is_over, transport, job)):
        piece = json.loads(event.data)
        text = str(piece["text"])
        # The id is where the next piece begins: bytes that are no text would be miscounted here.
        at = int(event.id) if event.id else int(piece["offset"]) + len(text.encode())
        yield text


def wait(
    transport: Transport,
    job: str,
    on_event: OnEvent | None,
    timeout_s: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> JobView:
    """Return the job once it has settled, or ended and not settled for `SETTLE_S`."""
    began_s = clock()

    def tick() -> None:
        if timeout_s is not None and clock() - began_s >= timeout_s:
            raise _waited_enough(job, timeout_s)

    silence_s = STREAM_SILENCE_S if timeout_s is None else min(STREAM_SILENCE_S, timeout_s)
    for event in events(transport, job, 0, silence_s, tick):
        if on_event:
            on_event(event)
    ended_s = clock()
    view = _view(transport, job)
    while view.state != "settled" and clock() - ended_s < SETTLE_S:
        tick()
        transport.sleep(0.2)
        view = _view(transport, job)
    return view


def _is_over(transport: Transport, job: str) -> bool:
    return _view(transport, job).state in OVER


def _view(transport: Transport, job: str) -> JobView:
    return JobView.model_validate(transport.get(f"jobs/{job}"))


def _waited_enough(job: str, timeout_s: float) -> WaitTimeout:
    detail = f"{job} runs on; it was waited for {timeout_s:.0f} s"
    return WaitTimeout(problem_of("timed_out", "It took too long", detail))
