"""Webhooks: what a project asks for, how each stands, and what is sent to it."""

from typing import Annotated, Any

from pydantic import Field

from intertie.wire.base import Answer, Instant, Message

Code = Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]


class CreateWebhook(Message):
    """Have the events of this project's jobs posted to an address; no codes means all events."""

    url: Annotated[str, Field(min_length=8, max_length=2_000)]
    codes: Annotated[list[Code], Field(max_length=64)] = []


class WebhookView(Answer):
    """One webhook: `active`, `failing` (it is tried again at `next_try_at`) or `ended`.

    `secret` is shown only when it is made.
    """

    id: str
    project: str
    url: str
    codes: list[str] = []
    state: str
    failures: int = 0
    next_try_at: Instant | None = None
    last_error: str = ""
    created_at: Instant
    ended_at: Instant | None = None
    secret: str = ""


class WebhookPing(Answer):
    """What became of one test message; `status` is 0 where no answer came."""

    is_delivered: bool
    status: int
    took_ms: int
    error: str = ""


class WebhookEvent(Answer):
    """The body of each message. The same event always comes with the same `id`.

    `number` grows with time; a ping has the code `ping`, number 0 and no job.
    """

    id: str
    number: int
    at: Instant
    project: str
    job: str = ""
    code: str
    values: dict[str, Any] = {}
