"""The queue as the network shows it: who waits in which order, until about when, and why."""

from pydantic import Field

from intertie.wire.base import Answer, Instant, RefusalBody, RelaxationBody


class StartView(Answer):
    """When a job is expected to be given its place, with a range. Each one shown is scored later.

    Without `likely_at` it is not expected to as things are, or not before `seen_until`, if that
    is as far as was looked.
    """

    low_at: Instant | None = None
    likely_at: Instant | None = None
    high_at: Instant | None = None
    seen_until: Instant | None = None


class SoonerView(Answer):
    """The smallest change that would start a job sooner, and by how much."""

    relaxation: RelaxationBody
    starts_at: Instant
    gained_s: int | None = Field(
        default=None, description="absent where it would else not start as things are"
    )


class WaitingView(Answer):
    """One job that waits. Of another project's only its place and its expected start are told."""

    position: int
    start: StartView
    job: str | None = None
    name: str = ""
    project: str = ""
    tasks: int | None = Field(default=None, description="tasks that wait")
    nearest: RefusalBody | None = None
    sooner: SoonerView | None = None


class ShareView(Answer):
    """What one project has used of late by its weight. Another project's has no name."""

    project: str | None = None
    weight: int
    used_su: float = Field(description="decayed use, and what its running tasks should add")
    used_su_by_weight: float
    waiting_tasks: int
    running_tasks: int


class QueueView(Answer):
    """What waits, in order of the expected starts, and the projects, least served first."""

    at: Instant
    count: int = Field(description="how many jobs wait in all; the list may hold fewer")
    explained: int = Field(description="how many of one's own first jobs are told why they wait")
    waiting: list[WaitingView]
    shares: list[ShareView]
