"""Clear and place: who gets what, at what price; owners, who was promised, then all by share."""

from typing import NamedTuple

import numpy as np

from intertie.cycle.digests import keep_digests
from intertie.cycle.leasing import bind
from intertie.cycle.orders import Orders, Supply, orders_of, supply_of
from intertie.cycle.prices import LARGEST
from intertie.cycle.running import releases_of
from intertie.cycle.scoring import score_starts
from intertie.cycle.standing import most_used, takes_of, tree_of, used_of
from intertie.cycle.views import facts_of, name_of, wallet_micro
from intertie.model.policy import Policy
from intertie.placement.fill import fill
from intertie.placement.given import BACKFILLS, NO_TRADE, Jobs, Kept, Kins, Payers, Places, Releases
from intertie.placement.keeping import nothing_kept
from intertie.world.changes import Changes
from intertie.world.table import Ints, Mask
from intertie.world.world import World


class Scene(NamedTuple):
    """What the fills of one round are given, and change: the bundles of `placement.given`.

    `own` are the ranks of owners on their own pools.
    """

    jobs: Jobs
    kins: Kins
    places: Places
    payers: Payers
    own: Ints
    releases: Releases
    kept: Kept
    backfill: int


def place(world: World, inbox: list[object], policy: Policy, now: int) -> Changes:
    """Return the leases and holds of this round."""
    changes = Changes()
    supply = supply_of(world)
    orders = orders_of(world, supply, policy, now)
    if orders is not None:
        scene = scene_of(world, orders, supply, policy, now)
        placed = fill_all(scene, orders.is_promised)
        bind(world, changes, orders, supply, placed, policy, now)
        score_starts(world, changes, orders.numbers[sorted({job for job, _ in placed})], now)
        keep_digests(world, changes)
    return changes


def scene_of(world: World, orders: Orders, supply: Supply, policy: Policy, now: int) -> Scene:
    """Return the round as the kernel is given it; nothing of the World or the orders changes."""
    payers, use = _payers(world, orders, policy)
    given = supply.places
    places = given._replace(free=given.free.copy(), lent=given.lent.copy())
    return Scene(
        jobs=orders.jobs._replace(budget=orders.jobs.budget.copy(), tasks=orders.jobs.tasks.copy()),
        kins=orders.columns._replace(use=use),
        places=places,
        payers=payers,
        own=_owners(world, orders, supply),
        releases=releases_of(world, supply.nodes, policy, now),
        kept=nothing_kept(places),
        backfill=BACKFILLS.index(policy.backfill),
    )


def fill_all(scene: Scene, is_promised: Mask) -> list[tuple[int, int]]:
    """Return (job, node) of each task placed, by their rows; the scene is what is left.

    Owners on their own pools; then those who were promised a deadline, the first deadline first,
    whoever used how much; then everybody by share. Nobody ever beyond a quota. What one fill leaves
    is what the next may give, and what one keeps for the first that waits the next keeps too.
    """
    jobs, kins, payers = scene.jobs, scene.kins, scene.payers
    count, everybody = jobs.tasks, np.ones(len(jobs.tasks), np.bool_)
    placed: list[tuple[int, int]] = []
    for ranks, who, is_by_row in (
        (scene.own, everybody, False),
        (kins.rank, is_promised, True),
        (kins.rank, everybody, False),
    ):
        if not who.any() or (ranks == NO_TRADE).all():
            continue
        rows, nodes = fill(
            jobs._replace(tasks=np.where(who, count, 0)),
            kins._replace(rank=ranks, use=np.zeros_like(kins.use) if is_by_row else kins.use),
            scene.places,
            _by_row(payers, kins.project[jobs.kin]) if is_by_row else payers,
            scene.releases,
            scene.kept,
            scene.backfill,
        )
        placed += zip(rows.tolist(), nodes.tolist(), strict=True)
        count -= np.bincount(rows, minlength=len(count))
        if is_by_row and len(rows):
            _note_use(payers, kins.project[jobs.kin[rows]], kins.use[jobs.kin[rows]])
    return placed


def _by_row(payers: Payers, project: Ints) -> Payers:
    """Return the payers as if nobody had used any, each with its jobs in the order of their rows.

    Wallets and what is held are the same and not copies.
    """
    tree = payers.tree._replace(floor=np.zeros_like(payers.tree.floor), is_dominant=0)
    queue = np.argsort(project, kind="stable")
    return payers._replace(used=np.zeros_like(payers.used), queue=queue, tree=tree)


def _note_use(payers: Payers, project: Ints, use: Ints) -> None:
    """Count what was given as if nobody had used any."""
    if payers.tree.is_dominant:
        payers.used[:] = payers.tree.part.max(axis=1)
        return
    parent = payers.tree.parent
    for each, more in zip(project.tolist(), use.tolist(), strict=True):
        member = each
        while member != parent[member]:
            payers.used[member] += more
            member = parent[member]


def _payers(world: World, orders: Orders, policy: Policy) -> tuple[Payers, Ints]:
    """Return the projects in their tree, and what a task of each kin adds to its project's use."""
    standing, tasks = orders.standing, max(1, int(orders.jobs.tasks.sum()))
    tree = tree_of(standing, policy)
    use = np.minimum(orders.columns.use, max(1, most_used(standing) // tasks))
    if policy.share_by == "none":
        use = np.zeros_like(use)
    wallet = [min(LARGEST, wallet_micro(world, p)) for p in standing.projects]
    payers = Payers(
        used=used_of(standing, tree, policy),
        weight=standing.weight,
        wallet=np.array(wallet, np.int64),
        queue=orders.queue,
        tree=tree,
        takes=takes_of(standing, tree, orders.kins, tasks),
    )
    return payers, use


def _owners(world: World, orders: Orders, supply: Supply) -> Ints:
    """Return the ranks of owners on their own pools alone: there they come before guests.

    Only where the owner's job would rather run than anywhere else: owning a machine does not
    send a job to it that wants to be cheap or soon elsewhere.
    """
    rank = orders.columns.rank
    own = np.full_like(rank, NO_TRADE)
    names = np.array([name_of(world, "project", kin.project) for kin in orders.kins])
    for at, pool in enumerate(supply.pools):
        facts = facts_of(world, pool)
        if facts is not None and facts.terms.own_project:
            own[(names == facts.terms.own_project) & (rank[:, at] == 0), at] = 0
    return own
