"""What-ifs: the network's own past under another policy, asked for by operators."""

from typing import Annotated

from pydantic import Field

from intertie.wire.base import Answer, Instant, Message


class AskWhatIf(Message):
    """Live through a span again with some fields of the policy changed; none means as it is.

    The span ends at `until`, or now, and began `span_s` seconds before.
    """

    policy: Annotated[dict[str, int | str], Field(max_length=32)] = Field(
        default={}, examples=[{"backfill": "easy"}]
    )
    span_s: Annotated[int, Field(ge=1, le=10**9)] = 30 * 24 * 3600
    until: Instant | None = None


class WhatIfView(Answer):
    """One what-if: `waiting`, `running`, `done` or `failed` (then with its error).

    `measures` are by way: `was` is what happened, `as_is` the same jobs under the policy that
    stands, `what_if` under the one that was asked about; by measure, the unit last. `projects`
    holds by way the 90 % wait of each project in seconds. `left_out` counts jobs that were not
    lived through again, by the reason.
    """

    id: str
    asked_at: Instant
    since: Instant
    until: Instant
    policy: dict[str, int | str]
    state: str
    done: int = Field(default=0, description="jobs lived through, of `total` in both runs")
    total: int = 0
    measures: dict[str, dict[str, float]] = {}
    projects: dict[str, dict[str, float]] = {}
    left_out: dict[str, int] = {}
    error: str = ""
