"""Jobs: submit, see, cancel, ask why, and what they cost."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from intertie.api.contract import problems
from intertie.api.door import Door, Key, Language, TheDoor
from intertie.api.identity import PROJECT, Bearer, Project, ProjectOrOperator, number_of
from intertie.api.job_views import job_view, job_views, submitted_view
from intertie.api.pages import After, Limit, after_number, page
from intertie.api.problems import not_found
from intertie.api.receipt_views import receipt
from intertie.api.speech import spoken_pools, spoken_refusal
from intertie.api.submitting import missing_blob, plain_request, quote_of, request_of
from intertie.api.why_views import why_view
from intertie.control.clock import now_ms
from intertie.control.waiting import NotDecided
from intertie.model.ids import encode
from intertie.model.job import Job, Rejected
from intertie.model.plain import from_plain
from intertie.model.refusal import Refusal
from intertie.model.request import Request as Asked
from intertie.model.states import JobState
from intertie.store import reading
from intertie.store.appending import owns_blob
from intertie.wire.base import Page, plain
from intertie.wire.jobs import JobView, Receipt, RefusedView, SubmitJob, WhyView

router = APIRouter(tags=["jobs"])

State = Annotated[
    Literal["held", "queued", "running", "ended", "settled"] | None,
    Query(description="only jobs in this state"),
]


@router.post(
    "/jobs",
    status_code=201,
    summary="Submit a job",
    response_model=JobView,
    responses={
        202: {"description": "kept, and decided later: ask for it by its id"},
        **problems(401, 403, 409, 413, 422),
    },
)
async def submit(
    door: TheDoor, bearer: Project, message: SubmitJob, request: Request, key: Key = None
) -> Any:
    """Wait for the round that admits the job. A refusal is a 422 with the change that helps."""
    asked = request_of(message.spec, quote_of(message.quote), door.policy)
    if asked.workdir and not await door.run(owns_blob, door.engine, asked.workdir, bearer.subject):
        raise missing_blob(asked.workdir)
    body: dict[str, Any] = {
        "request": plain_request(asked),
        "option": message.option or "",
        "spec": message.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }
    try:
        number, _ = await door.ask("job", bearer.subject, body, key)
    except NotDecided as waits:
        view = await door.run(_waiting, door, bearer, waits.number, asked)
        where = str(request.url_for("see_job", job=view.id).path)
        return JSONResponse(plain(view), 202, {"Location": where})
    return await door.run(_submitted, door, number, asked.name, body["spec"])


@router.get("/jobs", summary="List jobs, newest first", responses=problems(401, 403, 422))
def list_jobs(
    door: TheDoor,
    bearer: ProjectOrOperator,
    state: State = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[JobView]:
    """The project's jobs, without their specs; every job for an operator."""
    column, before = reading.column, after_number("job", after)
    conditions = [] if before is None else [column(Job, "id") < before]
    if bearer.role == PROJECT:
        conditions.append(column(Job, "project") == bearer.subject)
    if state is not None:
        conditions.append(column(Job, "state") == int(JobState[state.upper()]))
    with reading.snapshot(door.engine) as connection:
        found = reading.rows(connection, Job, *conditions, limit=limit + 1, newest_first=True)
        views = job_views(connection, found[:limit])
    return page(found, limit, views, lambda job: encode("job", job.id))


@router.get("/jobs/{job}", summary="See one job", responses=problems(401, 403, 404, 422))
def see_job(door: TheDoor, bearer: ProjectOrOperator, job: str) -> JobView:
    """One job: where it is on the river, its tasks by state, what it has cost, its spec."""
    return _see(door, bearer, job)


@router.post(
    "/jobs/{job}/cancel",
    status_code=201,
    summary="Cancel a job",
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)
async def cancel(door: TheDoor, bearer: ProjectOrOperator, job: str, key: Key = None) -> JobView:
    """What waits ends at once, what runs is told to stop; cancelling twice is fine."""
    known = await door.run(find_job, door, bearer, job)
    await door.ask("cancel", known.project, {"job": known.id}, key)
    return await door.run(_see, door, bearer, job)


@router.get(
    "/jobs/{job}/why",
    summary="Why a job waits, failed or was refused",
    responses=problems(401, 403, 404, 422, 503),
)
async def see_why(door: TheDoor, bearer: ProjectOrOperator, job: str, lang: Language) -> WhyView:
    """Each pool's reason at this instant, and the smallest change that would help."""
    known = await door.run(find_job, door, bearer, job)
    _, answer = await door.ask("why", known.project, {"job": known.id})
    return await door.run(_why, door, known.id, answer, lang)


@router.get(
    "/jobs/{job}/receipt",
    summary="What a job used and cost, and where the money went",
    responses=problems(401, 403, 404, 422),
)
def see_receipt(door: TheDoor, bearer: ProjectOrOperator, job: str) -> Receipt:
    """Each attempt from both meters, each provider's part, and the sum of all postings: zero."""
    known = find_job(door, bearer, job)
    with reading.snapshot(door.engine) as connection:
        fresh = reading.find(connection, Job, known.id)
        assert fresh is not None, "jobs are never deleted"
        return receipt(connection, fresh)


@router.get(
    "/refusals",
    summary="Requests that were refused, newest first",
    responses=problems(401, 403, 422),
)
def list_refusals(
    door: TheDoor,
    bearer: ProjectOrOperator,
    lang: Language,
    limit: Limit = 100,
    after: After = None,
) -> Page[RefusedView]:
    """Jobs and quotes that the network did not take on, and why; all of them for an operator."""
    project = bearer.subject if bearer.role == PROJECT else None
    before = after_number("refusal", after)
    with reading.snapshot(door.engine) as connection:
        found = reading.refused_rows(connection, project, before, limit + 1)
    views = [
        RefusedView(
            at=row["at"],
            kind=row["kind"],
            name=row["body"]["request"]["name"],
            refusal=spoken_refusal(from_plain(Refusal, row["refusal"]), lang),
            pools=spoken_pools(from_plain(Rejected, row["document"] or {"pools": []}).pools, lang),
        )
        for row in found[:limit]
    ]
    return page(found, limit, views, lambda row: encode("refusal", row["id"]))


def find_job(door: Door, bearer: Bearer, job: str) -> Job:
    """Return a job that the bearer may see; 404 looks alike for what is not there."""
    number = number_of("job", job)
    with reading.snapshot(door.engine) as connection:
        found = reading.find(connection, Job, number)
    if found is None or not bearer.may_see(PROJECT, found.project):
        raise not_found("job", job)
    return found


def _see(door: Door, bearer: Bearer, job: str) -> JobView:
    known = find_job(door, bearer, job)
    with reading.snapshot(door.engine) as connection:
        fresh = reading.find(connection, Job, known.id)
        assert fresh is not None, "jobs are never deleted"
        return job_view(connection, fresh)


def _submitted(door: Door, number: int, name: str, spec: dict[str, Any]) -> Response:
    """Answer in this thread: a spec may hold the values of a hundred thousand tasks."""
    with reading.snapshot(door.engine) as connection:
        job = reading.find(connection, Job, number)
        assert job is not None, "the round that took the row made the job"
        view = submitted_view(connection, job, name, spec)
    return Response(view.model_dump_json(), 201, media_type="application/json")


def _waiting(door: Door, bearer: Bearer, number: int, asked: Asked) -> JobView:
    """Return a job that no round has taken yet: its id is known, its fate is not."""
    with reading.snapshot(door.engine) as connection:
        project = reading.document(connection, PROJECT, bearer.subject).name
    return JobView(
        id=encode("job", number),
        name=asked.name,
        project=project,
        kind=asked.kind,
        state="asked",
        outcome="none",
        submitted_at=now_ms(),
        task_count=asked.task_count,
    )


def _why(door: Door, job: int, answer: dict[str, Any], lang: str) -> WhyView:
    with reading.snapshot(door.engine) as connection:
        fresh = reading.find(connection, Job, job)
        assert fresh is not None, "jobs are never deleted"
        return why_view(connection, fresh, answer, lang)
