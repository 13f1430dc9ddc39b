"""What is inside a job: its tasks, files, logs and events."""

import mimetypes
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from intertie.api.attempts import OFFSET
from intertie.api.contents import BINARY, content_of
from intertie.api.contract import Responses, problems, stream_or
from intertie.api.door import Door, Language, TheDoor
from intertie.api.identity import Bearer, ProjectOrOperator
from intertie.api.job_views import event_views, file_views, task_views
from intertie.api.jobs import find_job
from intertie.api.kept import requests_of
from intertie.api.pages import After, Limit, page
from intertie.api.problems import Wrong, not_found
from intertie.api.streams import EVENT_STREAM, follow_events, follow_log
from intertie.api.tasklogs import TaskLog, read_log
from intertie.model.job import Task
from intertie.store import reading
from intertie.store.appending import owns_blob
from intertie.wire.base import FieldError, Page
from intertie.wire.jobs import FileView, JobEvent, TaskView

router = APIRouter(prefix="/jobs/{job}", tags=["jobs"])

_FILE: Responses = {
    200: {"description": "the content", "content": {"application/octet-stream": {}}}
}
LastEvent = Annotated[
    str | None, Header(alias="Last-Event-ID", description="go on after this event")
]


@router.get("/tasks", summary="List the tasks of a job", responses=problems(401, 403, 404, 422))
def list_tasks(
    door: TheDoor, bearer: ProjectOrOperator, job: str, limit: Limit = 100, after: After = None
) -> Page[TaskView]:
    """Tasks by index, each with every attempt at it."""
    known = find_job(door, bearer, job)
    column, since = reading.column, _number(after, -1)
    with reading.snapshot(door.engine) as connection:
        found = reading.rows(
            connection,
            Task,
            column(Task, "job") == known.id,
            # Indexes have no gaps, so a page is a range: the other tasks are not looked at.
            column(Task, "index").between(since + 1, since + 1 + limit),
        )
        request = requests_of(connection, door, [known.id])[known.id]
        views = task_views(connection, request, found[:limit])
    return page(found, limit, views, lambda task: str(task.index))


@router.get(
    "/files", summary="List the files that a job left", responses=problems(401, 403, 404, 422)
)
def list_files(
    door: TheDoor, bearer: ProjectOrOperator, job: str, limit: Limit = 100, after: After = None
) -> Page[FileView]:
    """Results and checkpoints of every task, by task and path."""
    known, since = find_job(door, bearer, job), _number(after, 0)
    with reading.snapshot(door.engine) as connection:
        found = file_views(connection, known)[since : since + limit + 1]
    return page(found, limit, found[:limit], lambda _: str(since + limit))


@router.get(
    "/files/{task}/{path:path}",
    summary="Fetch one file",
    response_class=StreamingResponse,
    responses={**_FILE, **problems(401, 403, 404, 416, 422, 503)},
)
async def get_file(
    door: TheDoor, bearer: ProjectOrOperator, job: str, task: int, path: str, request: Request
) -> StreamingResponse:
    """The content of one file, as an attachment. Ranges are served."""
    sha, size_bytes = await door.move(_file, door, bearer, job, task, path)
    name = path.rpartition("/")[2]
    headers = {
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}",
        "X-Content-Type-Options": "nosniff",
    }
    kind = mimetypes.guess_type(name)[0] or BINARY
    return await content_of(door, request, sha, size_bytes, kind, headers)


@router.get(
    "/tasks/{task}/logs",
    summary="Read or follow what a task printed",
    response_class=PlainTextResponse,
    responses={**stream_or("text/plain"), **problems(401, 403, 404, 422)},
)
async def get_logs(
    door: TheDoor,
    bearer: ProjectOrOperator,
    job: str,
    task: int,
    offset: Annotated[int, Query(ge=0, le=2**62, description="first byte")] = 0,
    attempt: Annotated[
        int | None, Query(ge=1, le=2**31, description="one attempt only, 1 the first")
    ] = None,
    follow: bool = False,
    last: LastEvent = None,
) -> Response:
    """Everything that the attempts of a task printed, one after the other.

    With `follow`, server-sent events `log` {offset, text}, each with the offset of the next piece
    as its id, then `end` when the task is over.
    """
    found = await door.run(_task_log, door, bearer, job, task, attempt)
    if follow:
        return _stream(follow_log(door, found, _last(last, offset)))
    headers = {OFFSET: str(await door.run(found.size, door))}
    return StreamingResponse(
        read_log(door, found, offset), media_type="text/plain; charset=utf-8", headers=headers
    )


@router.get(
    "/events",
    summary="Read or follow what happens to a job",
    response_model=Page[JobEvent],
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}},
        **problems(401, 403, 404, 422),
    },
)
async def get_events(
    door: TheDoor,
    bearer: ProjectOrOperator,
    job: str,
    lang: Language,
    limit: Limit = 100,
    after: After = None,
    follow: bool = False,
    last: LastEvent = None,
) -> Page[JobEvent] | Response:
    """Every step of a job in order. With `follow`, server-sent events until it has settled."""
    known = await door.run(find_job, door, bearer, job)
    since = _last(last, _number(after, 0))
    if follow:
        return _stream(follow_events(door, known.id, since, lang))
    found = await door.run(_events, door, known.id, since, limit + 1, lang)
    return page(found, limit, found[:limit], lambda event: str(event.number))


def _file(door: Door, bearer: Bearer, job: str, task: int, path: str) -> tuple[str, int]:
    """Return the hash and size of a file that a job left."""
    known = find_job(door, bearer, job)
    with reading.snapshot(door.engine) as connection:
        files = file_views(connection, known)
    # A path is looked up among those that the attempt named; it never reaches the file system.
    found = next((file for file in files if (file.task, file.path) == (task, path)), None)
    if found is not None and owns_blob(door.engine, found.sha256, known.project):
        size_bytes = door.blobs.size(found.sha256)
        if size_bytes is not None:
            return found.sha256, size_bytes
    raise not_found("file", f"{task}/{path}")


def _events(door: Door, job: int, since: int, limit: int, lang: str) -> list[JobEvent]:
    with reading.snapshot(door.engine) as connection:
        return event_views(connection, job, since, limit, lang)


def _task_log(door: Door, bearer: Bearer, job: str, index: int, attempt: int | None) -> TaskLog:
    known, column = find_job(door, bearer, job), reading.column
    with reading.snapshot(door.engine) as connection:
        found = reading.rows(
            connection, Task, column(Task, "job") == known.id, column(Task, "index") == index
        )
    if not found:
        raise not_found("task", f"{job}/{index}")
    log = TaskLog(found[0].id, attempt)
    if attempt is not None and not log.leases(door):
        raise not_found("attempt", f"{job}/{index}/{attempt}")
    return log


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type=EVENT_STREAM, headers=headers)


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not text.isdigit() or len(text) > 18:
        told = FieldError(field="after", message="pass `next` of the page before")
        raise Wrong(422, "bad_request", errors=[told])
    return int(text)


def _last(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() and len(text) <= 18 else otherwise
