"""Request: weights, quotas, floors and cohorts are set; and everybody may see how all stand."""

from typing import Any

import numpy as np

from intertie.cycle.inbox import InboxRow, of_kind
from intertie.cycle.standing import Standing, standing_of, tree_of
from intertie.cycle.views import name_of
from intertie.model.ids import encode
from intertie.model.parties import Named, Project
from intertie.model.plain import from_plain
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.rows import changed
from intertie.model.shares import WHOLE_PPM, Cohort, HeldShare, Quotas, Share, ShareTree
from intertie.placement.evenness import gini_ppm
from intertie.placement.given import LARGEST, Tree
from intertie.placement.shares import WHOLE, dominant
from intertie.world.changes import Changes
from intertie.world.table import Ints
from intertie.world.world import World

_QUOTA_OF = {"project": "quota", "cohort": "cohort_quota"}
_SETS = ("weight", "floor_ppm")


def open_cohort(world: World, changes: Changes, row: InboxRow) -> None:
    """Open a cohort, inside another or at the top."""
    name, parent = row.body["name"], row.body["parent"]
    if ("cohort", name) in world.names:
        changes.answer(row.id, Refusal("name_taken", {"name": name}))
        return
    refusal = _unknown(world, parent) or _too_much(world, row.id, parent, row.body["floor_ppm"])
    if refusal is not None:
        changes.answer(row.id, refusal)
        return
    changes.put(Cohort(row.id, parent, row.body["weight"], row.body["floor_ppm"]))
    changes.document("cohort", row.id, Named(name))
    changes.answer(row.id, cohort=row.id)


def set_share(world: World, changes: Changes, row: InboxRow) -> None:
    """Set what the row names of a project or a cohort; what it does not name stays."""
    kind, number, body = row.body["kind"], row.body["number"], row.body
    table: Any = world.projects if kind == "project" else world.cohorts
    member = table.find(number)
    if member is None:
        changes.answer(row.id, Refusal(f"{kind}_unknown", {kind: encode(kind, number)}))
        return
    place = "cohort" if kind == "project" else "parent"
    parent = body.get("parent", getattr(member, place))
    floor_ppm = body.get("floor_ppm", member.floor_ppm)
    refusal = _unknown(world, parent) or _inside_itself(world, kind, number, parent)
    refusal = refusal or _too_much(world, number, parent, floor_ppm)
    if refusal is not None:
        changes.answer(row.id, refusal)
        return
    told = {name: body[name] for name in _SETS if name in body} | {place: parent}
    changes.put(changed(member, **told))
    if "limits" in body:
        limits = from_plain(Quotas, {"limits": body["limits"]})
        changes.document(_QUOTA_OF[kind], number, limits)
    changes.answer(row.id, **{kind: number})


def show_shares(world: World, inbox: list[InboxRow], policy: Policy, now: int) -> Changes:
    """Return an answer for each row that asks how everybody stands."""
    changes, tree = Changes(), None
    for row in of_kind(inbox, "shares"):
        tree = tree or share_tree(world, policy, now)
        changes.answer(row.id, document=tree)
    return changes


def share_tree(world: World, policy: Policy, now: int) -> ShareTree:
    """Return how every project and every cohort stands at this instant."""
    everybody = set(world.projects.numbers(world.projects.used()))
    standing = standing_of(world, everybody, policy, now, is_whole=True)
    tree = tree_of(standing, policy, is_whole=True)
    waiting = _waiting_tasks(world, standing)
    lent = _lent(standing, tree)
    used = standing.above(standing.used[:, None])[:, 0]
    shares = [
        _share(world, standing, tree, member, int(used[member]), int(waiting[member]), lent)
        for member in range(len(standing.parent) - 2, -1, -1)
    ]
    active = [s for s in shares if s.kind == "project" and (s.used_micro_su or s.share_ppm)]
    active += [s for s in shares if s.kind == "project" and s.waiting_tasks and s not in active]
    return ShareTree(
        shares=tuple(sorted(shares, key=lambda share: (share.kind, share.number))),
        used_gini_ppm=gini_ppm([s.used_micro_su // s.weight for s in active]),
        held_gini_ppm=gini_ppm([s.share_ppm // s.weight for s in active]),
    )


def _share(
    world: World, standing: Standing, tree: Tree, member: int, used: int, waiting: int, lent: Ints
) -> Share:
    projects = len(standing.projects)
    kind = "project" if member < projects else "cohort"
    number = [*standing.projects, *standing.cohorts][member]
    row: Project | Cohort = (world.projects if kind == "project" else world.cohorts).get(number)
    return Share(
        kind=kind,
        number=number,
        name=name_of(world, kind, number),
        parent=row.cohort if isinstance(row, Project) else row.parent,
        weight=row.weight,
        floor_ppm=row.floor_ppm,
        used_micro_su=used,
        share_ppm=dominant(tree.part[member]) * WHOLE_PPM // WHOLE,
        waiting_tasks=waiting,
        resources=tuple(
            _held_share(standing, tree, member, at, int(lent[member, at]))
            for at in range(len(standing.resources))
        ),
    )


def _held_share(standing: Standing, tree: Tree, member: int, at: int, lent: int) -> HeldShare:
    def bound(columns: Ints) -> int | None:
        value = int(columns[member, at])
        return value if value < LARGEST else None

    held = standing.above(standing.held)[member, at]
    over = int(tree.held[member, at] - tree.quota[member, at])
    is_borrowing = over > 0 and standing.parent[member] != len(standing.parent) - 1
    return HeldShare(
        resource=standing.resources[at],
        held=int(held),
        total=int(standing.totals[at]),
        quota=bound(tree.quota),
        borrow=bound(standing.borrow),
        lend=bound(standing.lend),
        borrowed=over if is_borrowing else 0,
        lent=lent,
    )


def _lent(standing: Standing, tree: Tree) -> Ints:
    """Return what of each member's quota the others of its cohort hold; axes [member, resource].

    What a cohort lacks for what its members draw is shared out by what each leaves unused of what
    it lends.
    """
    root, projects = len(standing.parent) - 1, len(standing.projects)
    found = np.zeros_like(tree.quota)
    for cohort in range(projects, root):
        members = np.flatnonzero(standing.parent[:root] == cohort)
        quota, own, held = (each[members] for each in (tree.quota, tree.own, tree.held))
        is_bounded = quota < LARGEST
        unused = np.where(is_bounded, np.maximum(0, quota - np.maximum(own, held)), 0)
        taken = np.where(is_bounded, np.maximum(0, held - quota), 0).sum(axis=0)
        spare = np.maximum(1, unused.sum(axis=0))
        rows = [[int(u) * int(t) // int(s) for u, t, s in zip(row, taken, spare, strict=True)]
                for row in unused]  # fmt: skip
        found[members] = np.minimum(unused, np.array(rows, np.int64).reshape(unused.shape))
    return found


def _waiting_tasks(world: World, standing: Standing) -> Ints:
    jobs = world.jobs
    slots = np.flatnonzero(jobs.used() & (jobs.column("queued") > 0))
    found = np.zeros((len(standing.projects), 1), np.int64)
    rows = np.searchsorted(standing.projects, jobs.column("project")[slots])
    np.add.at(found[:, 0], rows, jobs.column("queued")[slots])
    return standing.above(found)[:, 0]


def _unknown(world: World, cohort: int) -> Refusal | None:
    if not cohort or cohort in world.cohorts:
        return None
    return Refusal("cohort_unknown", {"cohort": encode("cohort", cohort)})


def _inside_itself(world: World, kind: str, number: int, parent: int) -> Refusal | None:
    above = parent if kind == "cohort" else 0
    while above and above != number:
        above = world.cohorts.value(above, "parent")
    if not above:
        return None
    return Refusal("cohort_inside_itself", {"cohort": name_of(world, "cohort", number)})


def _too_much(world: World, number: int, parent: int, floor_ppm: int) -> Refusal | None:
    """Refuse floors that together are more than the network: they could not all be kept.

    A cohort needs its own floor, or its members' together where that is more.
    """
    floors = {p.id: (p.cohort, p.floor_ppm) for p in world.projects.rows() if p.floor_ppm}
    floors |= {c.id: (c.parent, c.floor_ppm) for c in world.cohorts.rows()}
    floors[number] = (parent, floor_ppm)

    def needed(member: int) -> int:
        below = sum(needed(n) for n, (above, _) in floors.items() if above == member)
        return max(below, floors[member][1] if member else 0)

    sum_ppm = needed(0)
    if sum_ppm <= WHOLE_PPM:
        return None
    return Refusal("floors_over_whole", {"sum_percent": -(-sum_ppm // 10_000)})
