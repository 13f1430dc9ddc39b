"""The share tree: everybody sees how all stand; an operator sets weights, quotas and floors."""

from typing import Any

from fastapi import APIRouter

from intertie.api.bounds import check_numbers
from intertie.api.contract import problems
from intertie.api.door import Door, Key, TheDoor
from intertie.api.identity import Anyone, Operator, number_of
from intertie.model.ids import encode
from intertie.model.plain import from_plain
from intertie.model.shares import CPUS, HeldShare, Share, ShareTree
from intertie.model.units import MICRO, MILLI
from intertie.wire.shares import CreateCohort, HeldShareView, SetShare, SharesView, ShareView

router = APIRouter(tags=["parties"])
_WRONG = problems(401, 403, 404, 409, 413, 422, 503)


@router.get("/shares", summary="How everybody stands", responses=problems(401, 403, 422, 503))
async def see_shares(door: TheDoor, bearer: Anyone) -> SharesView:
    """The share tree at this instant: weights, use, what is held, quotas, borrowed and lent."""
    return await _shares(door)


@router.post("/cohorts", status_code=201, summary="Open a cohort", responses=_WRONG)
async def create_cohort(
    door: TheDoor, bearer: Operator, message: CreateCohort, key: Key = None
) -> ShareView:
    """Open a cohort, whose members may borrow each other's unused quota."""
    body = {"name": message.name, "weight": message.weight, "floor_ppm": message.floor_ppm}
    _, answer = await door.ask("cohort", 0, body | {"parent": _cohort(message.cohort)}, key)
    return await _share(door, encode("cohort", answer["values"]["cohort"]))


@router.post(
    "/projects/{project}/share",
    status_code=201,
    summary="Set a project's weight, cohort, floor or quota",
    responses=_WRONG,
)
async def set_project_share(
    door: TheDoor, bearer: Operator, project: str, message: SetShare, key: Key = None
) -> ShareView:
    """What is not named stays as it is; a quota is set as a whole."""
    return await _set(door, "project", project, message, key)


@router.post(
    "/cohorts/{cohort}/share",
    status_code=201,
    summary="Set a cohort's weight, place, floor or quota",
    responses=_WRONG,
)
async def set_cohort_share(
    door: TheDoor, bearer: Operator, cohort: str, message: SetShare, key: Key = None
) -> ShareView:
    """What is not named stays as it is; its quota is what all its members may borrow from."""
    return await _set(door, "cohort", cohort, message, key)


async def _set(door: Door, kind: str, member: str, message: SetShare, key: str | None) -> ShareView:
    told: dict[str, Any] = {"kind": kind, "number": number_of(kind, member)}
    for name in ("weight", "floor_ppm"):
        if (value := getattr(message, name)) is not None:
            told[name] = value
    if message.cohort is not None:
        told["parent"] = _cohort(message.cohort)
    if message.quota is not None:
        told["limits"] = message.quota.limits()
    check_numbers(told)
    await door.ask("share", 0, told, key)
    return await _share(door, encode(kind, told["number"]))


def _cohort(known_as: str) -> int:
    return number_of("cohort", known_as) if known_as else 0


async def _share(door: Door, known_as: str) -> ShareView:
    found = await _shares(door)
    return next(share for share in found.shares if share.id == known_as)


async def _shares(door: Door) -> SharesView:
    _, answer = await door.ask("shares", 0, {})
    tree = from_plain(ShareTree, answer["document"])
    return SharesView(
        shares=[_view(share) for share in tree.shares],
        used_gini=tree.used_gini_ppm / MICRO,
        held_gini=tree.held_gini_ppm / MICRO,
    )


def _view(share: Share) -> ShareView:
    return ShareView(
        id=encode(share.kind, share.number),
        kind=share.kind,
        name=share.name,
        cohort=encode("cohort", share.parent) if share.parent else None,
        weight=share.weight,
        floor=share.floor_ppm / MICRO,
        used_su=share.used_micro_su / MICRO,
        share=share.share_ppm / MICRO,
        waiting_tasks=share.waiting_tasks,
        resources=[_held(each) for each in share.resources],
    )


def _held(held: HeldShare) -> HeldShareView:
    unit = MILLI if held.resource == CPUS else 1

    def shown(value: int | None) -> float | None:
        return None if value is None else value / unit

    return HeldShareView(
        resource=held.resource,
        held=held.held / unit,
        total=held.total / unit,
        quota=shown(held.quota),
        borrow=shown(held.borrow),
        lend=shown(held.lend),
        borrowed=held.borrowed / unit,
        lent=held.lent / unit,
    )
