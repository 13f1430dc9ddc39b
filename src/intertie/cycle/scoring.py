"""Score: each expected start that was shown is held against the start, when it comes.

What forecasts cannot know (who comes later, and goes first) is learnt from how they missed: ranges
are made as wide as the latest misses of the same project's jobs were.
"""

from collections.abc import Iterable

from intertie.model.forecast import Expected, Missed, Start, Statement
from intertie.model.rows import changed
from intertie.model.units import MILLI
from intertie.world.changes import Changes
from intertie.world.world import World

# Who looks again within this time is shown another start, and the first of them is scored.
_APART_MS = 60 * MILLI
# Of a job that waits for days the first and the latest are scored.
_STATEMENTS_MAX = 64
# So many misses are remembered, and so many are enough to learn from.
_MISSED_MAX, _MISSED_MIN = 79, 9
_TAIL_PARTS = 20
_PPM = 1_000_000
_RATIO_MAX_PPM = 100 * _PPM


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


def widened(start: Start, missed: Missed | None, now: int) -> Start:
    """Return an expected start with its range as wide as starts have come to miss the likely one.

    Of nineteen in twenty the end of the range was, and of as many its beginning (by the rank among
    `n + 1`, which is right whatever their distribution).
    """
    count = len(missed.ratios_ppm) if missed is not None else 0
    if missed is None or count < _MISSED_MIN or not start.likely_at:
        return start
    ordered, wait_ms = sorted(missed.ratios_ppm), start.likely_at - now + _APART_MS
    low = ordered[max(0, (count + 1) // _TAIL_PARTS - 1)]
    high = ordered[min(count - 1, count - (count + 1) // _TAIL_PARTS)]
    low_at, high_at = (now + wait_ms * each // _PPM - _APART_MS for each in (low, high))
    return changed(
        start,
        low_at=max(now, min(start.low_at, low_at)),
        high_at=max(start.high_at, high_at),
    )


def score_starts(world: World, changes: Changes, jobs: Iterable[int], now: int) -> None:
    """Say of each of these jobs, which start now, how right each start was that was shown."""
    for number in map(int, jobs):
        known: Expected | None = world.documents.get(("expected", number))
        if known is None or not known.statements:
            continue
        changes.document("expected", number, Expected())
        _learn(world, changes, world.jobs.value(number, "project"), known.statements[0], now)
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


def _learn(world: World, changes: Changes, project: int, said: Statement, now: int) -> None:
    """Remember how a start compared with the first that was shown of it.

    A minute is added to both waits: of what is about to start nothing is learnt.
    """
    key = ("missed", project)
    known: Missed = changes.documents.get(key) or world.documents.get(key) or Missed()
    wait_ms, likely_ms = now - said.shown_at, said.likely_at - said.shown_at
    ratio = (wait_ms + _APART_MS) * _PPM // (likely_ms + _APART_MS)
    ratios = (*known.ratios_ppm, min(ratio, _RATIO_MAX_PPM))[-_MISSED_MAX:]
    changes.document("missed", project, Missed(ratios))
