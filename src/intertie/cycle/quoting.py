"""Size and quote: what a request would cost and when it would finish, promised until an instant."""

from intertie.cycle.candidates import candidates, refusal_of
from intertie.cycle.inbox import InboxRow, request_in
from intertie.cycle.views import facts_of, history_of, place_of
from intertie.market.quoting import quote
from intertie.model.job import Rejected
from intertie.model.policy import Policy
from intertie.model.quote import Quote, QuoteTerms
from intertie.model.refusal import Refusal
from intertie.model.request import Request
from intertie.model.states import QuoteState
from intertie.model.units import MILLI
from intertie.planner.sizing import size
from intertie.world.changes import Changes
from intertie.world.kins import shape_of
from intertie.world.world import World


def answer_quotes(world: World, row: InboxRow, policy: Policy, now: int) -> Changes:
    """Return the quote that one row asks for, or why there is none."""
    changes = Changes()
    if row.kind != "quote":
        return changes
    request = request_in(row)
    terms = price(world, request, row.actor, policy, now)
    if isinstance(terms, Refusal):
        changes.answer(row.id, terms, rejected(world, request, row.actor))
        return changes
    until = now + policy.quote_s * MILLI
    changes.put(Quote(row.id, row.actor, QuoteState.FIRM, now, until, 0))
    changes.document("quote", row.id, terms)
    changes.document("asked", row.id, request)
    changes.answer(row.id, quote=row.id)
    return changes


def price(
    world: World, request: Request, project: int, policy: Policy, now: int
) -> QuoteTerms | Refusal:
    """Return every way to run a request at the prices of this instant, or the refusal.

    Requests that differ in nothing which prices read are priced once, while nothing has moved.
    """
    sizing = size(request, history_of(world, project))
    if isinstance(sizing, Refusal):
        return sizing
    kept = world.memo.get("quotes")
    stamp = (world.supply, world.room, policy, now)
    if kept is None or kept[0] != stamp:
        kept = world.memo["quotes"] = (stamp, {})
    known: dict[object, QuoteTerms | Refusal] = kept[1]
    asked = (request.is_gang, request.time_limit_s, request.deadline_at, request.budget_micro)
    key = (project, shape_of(request), sizing, request.prefer, asked)
    if key not in known:
        found, lost = candidates(world, request, sizing, project, policy, now)
        known[key] = quote(request, sizing, found, lost, policy.fee_ppm, now)
    return known[key]


def rejected(world: World, request: Request, project: int) -> Rejected | None:
    """Return each pool's reason where no pool can take a request; None where one could."""
    reasons = [
        (place_of(world, pool), refusal_of(world, request, pool, project))
        for pool in world.pools.rows()
        if facts_of(world, pool.id) is not None
    ]
    found = tuple((place, refusal) for place, refusal in reasons if refusal is not None)
    return Rejected(found) if len(found) == len(reasons) else None
