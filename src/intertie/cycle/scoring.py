"""Score: each expected start that was shown is held against the start, when it comes."""

from collections.abc import Iterable

from intertie.model.forecast import Expected, Start, Statement
from intertie.model.units import MILLI
from intertie.world.changes import Changes
from intertie.world.world import World

# Who looks again within this time is shown another start, and the first of them is scored.
_APART_MS = 60 * MILLI
# Of a job that waits for days the first and the latest are scored.
_STATEMENTS_MAX = 64


def remember_start(world: World, changes: Changes, job: int, start: Start, now: int) -> None:
    """Keep what somebody is shown of a job's start, until it starts."""
    if not start.high_at:
        return
    known = changes.documents.get(("expected", job)) or world.documents.get(("expected", job))
    said: tuple[Statement, ...] = known.statements if known else ()
    if said and now < said[-1].shown_at + _APART_MS:
        return
    if len(said) == _STATEMENTS_MAX:
        said = (said[0], *said[2:])
    latest = Statement(now, start.low_at, start.likely_at, start.high_at)
    changes.document("expected", job, Expected((*said, latest)))


def score_starts(world: World, changes: Changes, jobs: Iterable[int], now: int) -> None:
    """Say of each of these jobs, which start now, how right each start was that was shown."""
    for number in map(int, jobs):
        known: Expected | None = world.documents.get(("expected", number))
        if known is None or not known.statements:
            continue
        changes.document("expected", number, Expected())
        said, first = known.statements, known.statements[0]
        changes.event(
            number,
            "start_scored",
            shown=len(said),
            within=sum(each.low_at <= now <= each.high_at for each in said),
            early=sum(now < each.low_at for each in said),
            late=sum(now > each.high_at for each in said),
            low_at=first.low_at,
            high_at=first.high_at,
            off_s=abs(now - first.likely_at) // MILLI,
        )
