"""The river: the steps of one job, in order. Open this file first.

    request → admit → size → quote → clear → place → run → meter → settle

`flow` is one round. The steps of ROWS take the inbox row by row, in the order it arrived; those
of WHOLE look at the whole World. Each returns `Changes`, which are applied before the next looks.
"""

from collections.abc import Callable
from typing import Any

from intertie.cycle.admitting import admit
from intertie.cycle.believing import believe
from intertie.cycle.explaining import explain
from intertie.cycle.following import follow
from intertie.cycle.inbox import InboxRow
from intertie.cycle.parties import enter
from intertie.cycle.placing import place
from intertie.cycle.quoting import answer_quotes
from intertie.cycle.reconciling import reconcile
from intertie.cycle.releasing import drop_cancelled, release_held
from intertie.cycle.settling import settle
from intertie.cycle.sharing import show_shares
from intertie.model.policy import Policy
from intertie.world.apply import apply, ready
from intertie.world.changes import Changes
from intertie.world.world import World

RowStep = Callable[[World, InboxRow, Policy, int], Changes]
WholeStep = Callable[[World, list[Any], Policy, int], Changes]

ROWS: tuple[RowStep, ...] = (
    enter,  # request: projects, providers, agents, credit, shares
    believe,  # run: what agents observed, before anything is decided
    answer_quotes,  # size, quote
    admit,  # admit: jobs and cancellations
)
WHOLE: tuple[WholeStep, ...] = (
    release_held,  # admit: jobs that waited for others
    drop_cancelled,  # admit: what waits of cancelled jobs
    place,  # clear, place: claims at list prices, leases, holds
    reconcile,  # run: stops, renewals, what is given up
    follow,  # run: what its tasks make of each job
    settle,  # meter, settle: usage records, charges, releases
    explain,  # why
    show_shares,  # why: how everybody stands
)


def flow(
    world: World,
    inbox: list[InboxRow],
    policy: Policy,
    now: int,
    watch: Callable[[str], None] = lambda _: None,
) -> Changes:
    """Return all that one round decides. The World given is the working copy: it is changed.

    Whoever cannot commit the result drops this World and rebuilds it from the store. `watch` is
    told the name of each step as it ends, by who has a clock; nothing depends on it.
    """
    ready(world)
    total = Changes()
    for row in inbox:
        for step in ROWS:
            _take(world, total, step(world, row, policy, now))
            watch(step.__name__)
    for whole in WHOLE:
        _take(world, total, whole(world, inbox, policy, now))
        watch(whole.__name__)
    return total


def _take(world: World, total: Changes, changes: Changes) -> None:
    if changes:
        apply(world, changes)
        total.extend(changes)
