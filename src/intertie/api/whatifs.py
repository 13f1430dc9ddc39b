"""What-ifs: asked for here, worked on by a process beside the door."""

from fastapi import APIRouter

from intertie.api.contract import problems
from intertie.api.door import Key, TheDoor
from intertie.api.identity import Operator, number_of
from intertie.api.pages import After, Limit, after_number, page
from intertie.api.problems import Wrong, not_found
from intertie.control.clock import now_ms
from intertie.control.policies import BadPolicy, policy_with
from intertie.model.ids import encode
from intertie.model.units import MILLI
from intertie.store import reading, whatifs
from intertie.store.loading import load_policy
from intertie.store.whatifs import WhatIf
from intertie.wire.base import FieldError, Page
from intertie.wire.whatifs import AskWhatIf, WhatIfView

router = APIRouter(tags=["network"])


@router.post(
    "/what-ifs",
    status_code=202,
    summary="Live through the past again under another policy",
    responses=problems(401, 403, 409, 413, 422),
)
def ask_what_if(door: TheDoor, bearer: Operator, message: AskWhatIf, key: Key = None) -> WhatIfView:
    """Return at once; ask for it again to see how far it has come. Nothing of the network changes.

    Fields of the policy are those by which placement decides; an unknown one is told with the list.
    """
    now = now_ms()
    until = min(now, now if message.until is None else message.until)
    since = max(0, until - message.span_s * MILLI)
    with reading.snapshot(door.engine) as connection:
        policy = load_policy(connection)
    try:
        policy_with(policy, dict(message.policy))
    except BadPolicy as error:
        wrong = FieldError(field=f"policy.{error.field}", message=str(error))
        raise Wrong(422, "bad_request", errors=[wrong]) from None
    found = whatifs.add(door.engine, dict(message.policy), since, until, now, key)
    door.work()
    return _view(found)


@router.get("/what-ifs", summary="List what-ifs", responses=problems(401, 403, 422))
def list_what_ifs(
    door: TheDoor, bearer: Operator, limit: Limit = 100, after: After = None
) -> Page[WhatIfView]:
    """Newest first."""
    before = after_number("what-if", after)
    with reading.snapshot(door.engine) as connection:
        found = whatifs.latest(connection, limit + 1, before)
    views = [_view(each) for each in found[:limit]]
    return page(found, limit, views, lambda each: encode("what-if", each.id))


@router.get("/what-ifs/{what_if}", summary="One what-if", responses=problems(401, 403, 404))
def see_what_if(door: TheDoor, bearer: Operator, what_if: str) -> WhatIfView:
    """How far it has come, and what was found."""
    number = number_of("what-if", what_if)
    with reading.snapshot(door.engine) as connection:
        found = whatifs.find(connection, number)
    if found is None:
        raise not_found("what-if", what_if)
    return _view(found)


def _view(found: WhatIf) -> WhatIfView:
    return WhatIfView(
        id=encode("what-if", found.id),
        asked_at=found.asked_at,
        since=found.since,
        until=found.until,
        policy=found.policy,
        state=found.state,
        done=found.done,
        total=found.total,
        error=found.error,
        **found.result,
    )
