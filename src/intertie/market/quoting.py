"""Quote: what a job costs and when it finishes, on each pool alone and spread over all of them."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from intertie.model.quote import LostOffer, Option, PricedPool, QuoteTerms
from intertie.model.refusal import Refusal, Relaxation, nearest
from intertie.model.request import Request
from intertie.model.rows import changed
from intertie.model.sizing import Sizing
from intertie.model.units import MICRO, MILLI, ceil_div, charge_micro

SPREAD = "spread"


@dataclass(frozen=True)
class Candidate:
    """One pool that can take the job.

    `slots_s` says in how many seconds a task begins in each of its slots, `wait_s` how much of that
    the site alone asks for.
    """

    pool: int
    name: str
    offer: int
    price_micro_per_unit_h: int
    price_version: int
    score_millionths: int
    units_milli: int
    slots_s: tuple[int, ...]
    wait_s: int = 0


def quote(
    request: Request,
    sizing: Sizing,
    candidates: list[Candidate],
    lost: list[LostOffer],
    fee_ppm: int,
    now: int,
) -> QuoteTerms | Refusal:
    """Return every way to run the job with the chosen one marked, or why no offer can take it.

    Cheapest chosen means cheapest of those that keep deadline and budget; soonest likewise.
    """
    if not candidates:
        refusal = nearest([each.refusal for each in lost])
        return refusal or Refusal("no_offers", {}, Relaxation("ask_again"))
    options = [_option(c.name, request, sizing, [c], fee_ppm) for c in candidates]
    if len(candidates) > 1 and sizing.task_count > 1 and not request.is_gang:
        options.append(_option(SPREAD, request, sizing, candidates, fee_ppm))
    cheapest = _least(options, _by_cost)
    soonest = _least(options, _by_finish)
    order = _by_finish if request.prefer == "soonest" else _by_cost
    keeping = [o for o in options if _breaks(o, request, now) is None]
    chosen = options.index(min(keeping or options, key=order))
    marked = tuple(
        changed(o, lost=None if i == chosen else _why_lost(o, options[chosen], request, now))
        for i, o in enumerate(options)
    )
    broken = _breaks(options[chosen], request, now)
    if broken is not None:
        return broken
    return QuoteTerms(sizing, marked, cheapest, soonest, chosen, tuple(lost))


class Timed(Protocol):
    """What says how long one task runs on a reference unit, and how that is known."""

    @property
    def source(self) -> str: ...
    @property
    def expected_s(self) -> int: ...


def task_seconds(sizing: Timed, score_millionths: int, time_limit_s: int) -> int:
    """Return how long one task runs at this speed; a bare time limit does not scale with speed."""
    if sizing.source == "time_limit":
        return time_limit_s
    return min(time_limit_s, ceil_div(sizing.expected_s * MICRO, score_millionths))


def _option(
    code: str, request: Request, sizing: Sizing, pools: list[Candidate], fee_ppm: int
) -> Option:
    times_s = [task_seconds(sizing, c.score_millionths, request.time_limit_s) for c in pools]
    counts, starts_s, finishes_s = _schedule(sizing.task_count, pools, times_s)
    priced = tuple(
        PricedPool(
            pool=c.pool,
            offer=c.offer,
            price_micro_per_unit_h=c.price_micro_per_unit_h,
            price_version=c.price_version,
            score_millionths=c.score_millionths,
            units_milli=c.units_milli,
            task_s=task_s,
            task_micro=charge_micro(task_s * MILLI, c.units_milli, c.price_micro_per_unit_h),
            task_count=count,
            wait_s=c.wait_s,
        )
        for c, task_s, count in zip(pools, times_s, counts, strict=True)
        if count
    )
    cost_micro = sum(p.task_micro * p.task_count for p in priced)
    return Option(code, priced, cost_micro, cost_micro * fee_ppm // MICRO, starts_s, finishes_s)


def _schedule(
    task_count: int, pools: list[Candidate], times_s: list[int]
) -> tuple[list[int], int, int]:
    """Give each task to the slot that ends it first.

    Return tasks by pool, first start, last finish. A slot that is free at f has ended (F - f) // t
    tasks by F, so that nothing needs to be tried task by task.
    """
    slots = [
        _Slots(free, max(1, times_s[at]), at, width)
        for at, c in enumerate(pools)
        for free, width in Counter(c.slots_s).items()
    ]
    last = _last_finish(slots, task_count)
    counts = [0] * len(pools)
    first = last
    for each in slots:
        ended = each.ended_by(last - 1)
        counts[each.pool] += ended
        first = min(first, each.free_s) if ended else first
    left = task_count - sum(counts)
    # Of those that would end at the last instant, who begins first is taken first.
    for each in sorted(slots, key=lambda s: (-s.task_s, s.pool)):
        taken = min(left, each.ended_by(last) - each.ended_by(last - 1))
        counts[each.pool], left = counts[each.pool] + taken, left - taken
        first = min(first, last - each.task_s) if taken else first
    return counts, first, last


class _Slots(NamedTuple):
    """Slots of one pool that are free at the same second."""

    free_s: int
    task_s: int
    pool: int
    width: int

    def ended_by(self, at_s: int) -> int:
        """Return how many tasks these slots can have ended by an instant."""
        return self.width * max(0, (at_s - self.free_s) // self.task_s)


def _last_finish(slots: list[_Slots], task_count: int) -> int:
    """Return the first second by which so many tasks can have ended, by halving."""
    low = min(each.free_s + each.task_s for each in slots)
    high = min(each.free_s + ceil_div(task_count, each.width) * each.task_s for each in slots)
    while low < high:
        middle = (low + high) // 2
        if sum(each.ended_by(middle) for each in slots) >= task_count:
            high = middle
        else:
            low = middle + 1
    return low


def _by_cost(option: Option) -> tuple[int, int, str]:
    return option.cost_micro, option.finishes_in_s, option.code


def _by_finish(option: Option) -> tuple[int, int, str]:
    return option.finishes_in_s, option.cost_micro, option.code


def _least(options: list[Option], order: object) -> int:
    return options.index(min(options, key=order))  # type: ignore[call-overload]


def _breaks(option: Option, request: Request, now: int) -> Refusal | None:
    if request.budget_micro and option.cost_micro > request.budget_micro:
        return Refusal(
            "over_budget",
            {"needs_micro": option.cost_micro, "budget_micro": request.budget_micro},
            Relaxation("raise_budget", {"to_micro": option.cost_micro}),
        )
    ends_at = now + option.finishes_in_s * MILLI
    if request.deadline_at and ends_at > request.deadline_at:
        return Refusal(
            "deadline_too_soon",
            {"finish_at": ends_at, "deadline_at": request.deadline_at},
            Relaxation("later_deadline", {"to_at": ends_at}),
        )
    return None


def _why_lost(option: Option, chosen: Option, request: Request, now: int) -> Refusal:
    broken = _breaks(option, request, now)
    if broken is not None:
        return broken
    later_s = option.finishes_in_s - chosen.finishes_in_s
    more_micro = option.cost_micro - chosen.cost_micro
    if request.prefer == "soonest" and later_s > 0:
        return Refusal("finishes_later", {"by_s": later_s})
    if request.prefer == "cheapest" and more_micro > 0:
        return Refusal("costs_more", {"by_micro": more_micro})
    return Refusal("no_better", {})
