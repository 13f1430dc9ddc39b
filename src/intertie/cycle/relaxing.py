"""Relax: the smallest change to a waiting job that would start it sooner, and by how much.

Each candidate is a what-if on the forecast's own picture: the same fills, with one job changed.
"""

import numpy as np

from intertie.cycle.changing import Change, changes_of
from intertie.cycle.forecasting import LIKELY, Outlook, look_ahead
from intertie.cycle.orders import columns_of
from intertie.cycle.prices import prices_for
from intertie.cycle.standing import takes_of
from intertie.model.forecast import Sooner
from intertie.model.refusal import Relaxation
from intertie.model.rows import changed
from intertie.model.units import MILLI
from intertie.placement.given import LARGEST, NO_TRADE, Kept, Kins, Takes
from intertie.world.kins import Kin, shape_of
from intertie.world.table import Ints
from intertie.world.world import World

# So many what-ifs are tried for one job, the smallest change first.
TRIES_MAX = 8
# A change is worth telling that gains a minute and a quarter of the wait.
_GAIN_MS_MIN = 60 * MILLI
_WAIT_PARTS = 4


def sooner(
    world: World,
    outlook: Outlook,
    row: int,
    start_ms: int,
    told: list[Relaxation],
    kept: Kept,
    now: int,
) -> tuple[Sooner | None, int]:
    """Return the smallest change that lets a job start sooner, and the steps it took to find.

    `told` are the changes that the pools ask for; `start_ms` is when it starts without any, LARGEST
    where it does not.
    """
    until, steps = start_ms - max(_GAIN_MS_MIN, start_ms // _WAIT_PARTS), 0
    if until < 0:
        return None, 0
    alone = np.arange(len(outlook.limit_s)) == row
    request = world.documents["request", int(outlook.orders.numbers[row])]
    for change in changes_of(outlook.scene, row, request, told, kept)[:TRIES_MAX]:
        other = relaxed(world, outlook, row, change)
        if other is None:
            continue
        starts = look_ahead(other, LIKELY, alone, until=until)
        steps += starts.steps
        at = int(starts.at[row])
        if at <= until:
            gained_s = (start_ms - at) // MILLI if start_ms < LARGEST else 0
            return Sooner(change.relaxation, now + at, gained_s), steps
    return None, steps


def relaxed(world: World, outlook: Outlook, row: int, change: Change) -> Outlook | None:
    """Return the picture with one job changed; None where it could then run nowhere."""
    kin = kin_of_row(world, outlook, row)
    kin = changed(
        kin,
        request=change.request,
        shape=shape_of(change.request),
        is_gang=change.request.is_gang,
        expected_s=change.expected_s or kin.expected_s,
        source="stated" if change.expected_s else kin.source,
        limit_micro_per_task=0 if change.has_no_limit else kin.limit_micro_per_task,
        is_bound=kin.is_bound and not change.has_no_limit,
    )
    pools, orders, scene = outlook.supply.pools, outlook.orders, outlook.scene
    prices = prices_for(world, kin, pools, outlook.policy)
    columns = columns_of(world, [kin], orders.standing.projects, outlook.supply, prices)
    if (columns.rank == NO_TRADE).all():
        return None
    was = scene.jobs.kin[row]
    columns = columns._replace(use=np.minimum(columns.use, scene.kins.use.max()))
    kins = Kins(*(np.concatenate(pair) for pair in zip(scene.kins, columns, strict=True)))
    is_own = (scene.own[was] != NO_TRADE) & (columns.rank[0] == 0)
    own = np.concatenate([scene.own, np.where(is_own, 0, NO_TRADE)[None, :]])
    best = int(np.where(columns.rank[0] == NO_TRADE, LARGEST, columns.rank[0]).argmin())
    jobs, payers, spans_s = scene.jobs, scene.payers, outlook.spans_s
    jobs = jobs._replace(
        kin=_with(jobs.kin, row, len(kins.use) - 1),
        tasks=_with(jobs.tasks, row, change.tasks or int(jobs.tasks[row])),
        budget=_with(jobs.budget, row, min(LARGEST, int(jobs.budget[row]) + change.more_micro)),
        length=_with(jobs.length, row, int(prices.task_s[0, best]) * MILLI),
    )
    payer = kins.project[-1]
    wallet = _with(
        payers.wallet, payer, min(LARGEST, int(payers.wallet[payer]) + change.more_micro)
    )
    if change.expected_s:
        spans_s = spans_s.copy()
        spans_s[:, row] = np.minimum(spans_s[:, row], change.expected_s)
    takes = takes_of(orders.standing, payers.tree, [kin], int(jobs.tasks.sum()))
    takes = Takes(*(np.concatenate(pair) for pair in zip(payers.takes, takes, strict=True)))
    payers = payers._replace(wallet=wallet, takes=takes)
    spare = np.maximum(0, columns.hold - prices.micro)
    return changed(
        outlook,
        scene=scene._replace(jobs=jobs, kins=kins, own=own, payers=payers),
        spare=np.concatenate([outlook.spare, spare]),
        spans_s=spans_s,
    )


def kin_of_row(world: World, outlook: Outlook, row: int) -> Kin:
    """Return the kin of a job of the picture."""
    kin = world.kins.of[world.jobs.value(int(outlook.orders.numbers[row]), "kin")]
    assert kin is not None, "who waits has its kin"
    return kin


def _with(column: Ints, row: int, value: int) -> Ints:
    found = column.copy()
    found[row] = value
    return found
