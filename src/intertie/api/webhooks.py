"""What happens to all of a project's jobs: posted to its webhooks, or followed as one stream."""

import base64
import hmac
import os
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from intertie.api.contract import problems
from intertie.api.door import Door, Key, Language, TheDoor
from intertie.api.identity import PROJECT, Bearer, Project, ProjectOrOperator, number_of
from intertie.api.pages import After, Limit, after_number, page
from intertie.api.problems import Wrong, not_found
from intertie.api.speech import spoken
from intertie.api.streams import EVENT_STREAM, HEARTBEAT_S
from intertie.api.work import LastEvent
from intertie.catalogue.texts import has_text
from intertie.control.clock import now_ms
from intertie.control.courier import ping_of
from intertie.control.delivering import (
    SECRET_PREFIX,
    Forbidden,
    Reach,
    check_url,
    client,
    deliver,
)
from intertie.model.ids import encode
from intertie.model.refusal import Refusal
from intertie.store import feed, reading, webhooks
from intertie.store.feed import Happened
from intertie.store.webhooks import Webhook
from intertie.wire.base import FieldError, Page
from intertie.wire.jobs import JobEvent
from intertie.wire.webhooks import CreateWebhook, WebhookPing, WebhookView

router = APIRouter(tags=["webhooks"])

WEBHOOKS_MAX = 10
EVENTS_MAX = 500


@router.post(
    "/webhooks",
    status_code=201,
    summary="Have events posted to an address",
    responses=problems(401, 403, 409, 413, 422),
)
def create_webhook(
    door: TheDoor, bearer: Project, message: CreateWebhook, lang: Language, key: Key = None
) -> WebhookView:
    """Tell an address of everything that happens from now on. Its secret is shown this once."""
    _check(message, lang)
    codes = tuple(dict.fromkeys(message.codes))
    secret = _secret(door, bearer.subject, key)
    kept = partial(webhooks.add, door.engine, bearer.subject, message.url, codes, secret)
    try:
        found = kept(now_ms(), WEBHOOKS_MAX)
    except webhooks.TooMany:
        raise Wrong(
            422, "refused", refusal=Refusal("too_many_webhooks", {"max": WEBHOOKS_MAX})
        ) from None
    return _view(found).model_copy(update={"secret": secret})


@router.get("/webhooks", summary="List webhooks", responses=problems(401, 403, 422))
def list_webhooks(
    door: TheDoor, bearer: ProjectOrOperator, limit: Limit = 100, after: After = None
) -> Page[WebhookView]:
    """A project's own, all for an operator; each with its state and last error."""
    project = bearer.subject if bearer.role == PROJECT else None
    since = after_number("webhook", after) or 0
    with reading.snapshot(door.engine) as connection:
        found = webhooks.of_project(connection, project, since, limit + 1)
    views = [_view(each) for each in found[:limit]]
    return page(found, limit, views, lambda webhook: encode("webhook", webhook.id))


@router.delete(
    "/webhooks/{webhook}",
    summary="Remove a webhook",
    responses=problems(401, 403, 404),
)
def remove_webhook(door: TheDoor, bearer: ProjectOrOperator, webhook: str) -> WebhookView:
    """Nothing more is sent there; what is on its way may still arrive."""
    found = _find(door, bearer, webhook)
    webhooks.remove(door.engine, found.id)
    return _view(replace(found, ended_at=now_ms()))


@router.post(
    "/webhooks/{webhook}/test",
    status_code=200,
    summary="Send one test message now",
    responses=problems(401, 403, 404),
)
async def test_webhook(door: TheDoor, bearer: Project, webhook: str) -> WebhookPing:
    """Post a `ping`, signed like every message, and say what the receiver answered."""
    found = await door.run(_find, door, bearer, webhook)
    reach = Reach.told_by(os.environ)
    message = ping_of(found, now_ms(), secrets.token_hex(8))
    async with client(reach) as http:
        done = await deliver(http, found.url, found.secret, message, reach)
    return WebhookPing(
        is_delivered=not done.error, status=done.status, took_ms=done.took_ms, error=done.error
    )


@router.get(
    "/events",
    summary="Read or follow what happens to all jobs of the project",
    response_model=Page[JobEvent],
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}},
        **problems(401, 403, 422),
    },
)
async def get_events(
    door: TheDoor,
    bearer: Project,
    lang: Language,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, le=2**53, description="number of an event")] = 0,
    follow: bool = False,
    last: LastEvent = None,
) -> Page[JobEvent] | Response:
    """Events of all jobs, in order. With `follow`, server-sent events without an end.

    A stream begins with an event `open` whose id is where it begins: after `Last-Event-ID`, or
    now. The same events go to webhooks.
    """
    if follow:
        since = int(last) if last and last.isdigit() and len(last) <= 18 else None
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        events = _follow(door, bearer.subject, since, lang)
        return StreamingResponse(events, media_type=EVENT_STREAM, headers=headers)
    found, _, _ = await door.run(_look, door, bearer.subject, after, limit + 1)
    views = [_event(each, lang) for each in found[:limit]]
    return page(found, limit, views, lambda event: str(event.number))


async def _follow(door: Door, project: int, since: int | None, lang: str) -> AsyncIterator[str]:
    newest = await door.run(_newest, door)
    at = newest if since is None else min(since, newest)
    yield f"event: open\nid: {at}\ndata: {{}}\n\n"
    while not door.rounds.is_closed:
        found, upto, number = await door.run(_look, door, project, at, EVENTS_MAX)
        for each in found:
            text = _event(each, lang).model_dump_json()
            yield f"event: state\nid: {each.number}\ndata: {text}\n\n"
        at = upto
        if len(found) == EVENTS_MAX:
            continue
        began_s = time.monotonic()
        await door.rounds.after(number, HEARTBEAT_S)
        if time.monotonic() - began_s >= HEARTBEAT_S:
            yield ": still here\n\n"


def _look(door: Door, project: int, since: int, limit: int) -> tuple[list[Happened], int, int]:
    """Return events after a number, the number up to which there are no others, and the round."""
    with reading.snapshot(door.engine) as connection:
        newest, number = feed.head(connection), reading.last_round(connection)[0]
        found = feed.after(connection, project, since, limit)
    return found, found[-1].number if len(found) == limit else max(newest, since), number


def _newest(door: Door) -> int:
    with reading.snapshot(door.engine) as connection:
        return feed.head(connection)


def _find(door: Door, bearer: Bearer, webhook: str) -> Webhook:
    number = number_of("webhook", webhook)
    with reading.snapshot(door.engine) as connection:
        found = webhooks.find(connection, number)
    if found is None or not bearer.may_see(PROJECT, found.project):
        raise not_found("webhook", webhook)
    return found


def _check(message: CreateWebhook, lang: str) -> None:
    wrong = [
        FieldError(field=f"codes.{at}", message=spoken(lang, "fault.no_such_event", code=code))
        for at, code in enumerate(message.codes)
        if not has_text("en", f"event.{code}")
    ]
    try:
        check_url(message.url, Reach.told_by(os.environ))
    except Forbidden as no:
        why = spoken(lang, f"fault.webhook_{no.code}", **no.values)
        wrong.append(FieldError(field="url", message=why))
    if wrong:
        raise Wrong(422, "bad_request", errors=wrong)


def _secret(door: Door, project: int, key: str | None) -> str:
    """Return a secret: the same for the same key, so that a repeated request finds its webhook."""
    told = key or secrets.token_hex(16)
    signed = hmac.digest(door.network.secret, f"webhook {project} {told}".encode(), sha256)
    return SECRET_PREFIX + base64.b64encode(signed).decode()


def _view(webhook: Webhook) -> WebhookView:
    is_failing = webhook.failures > 0
    return WebhookView(
        id=encode("webhook", webhook.id),
        project=encode("project", webhook.project),
        url=webhook.url,
        codes=list(webhook.codes),
        state="ended" if webhook.ended_at else "failing" if is_failing else "active",
        failures=webhook.failures,
        next_try_at=webhook.next_at if is_failing and not webhook.ended_at else None,
        last_error=webhook.last_error,
        created_at=webhook.created_at,
        ended_at=webhook.ended_at or None,
    )


def _event(event: Happened, lang: str) -> JobEvent:
    return JobEvent(
        number=event.number,
        at=event.at,
        job=encode("job", event.job),
        code=event.code,
        text=spoken(lang, f"event.{event.code}", **event.values),
        values=event.values,
    )
