"""Shares: whose turn it is in a tree of projects and cohorts, and what each may hold.

Kernels. Their specification is `SlowSharedFill` in tests/support/slow_shares.py. From the root down
each step goes to the child whose next job is most urgent (below a floor, within its quota,
borrowing), then to the one with the least use by weight, then to the one whose job came first.
Quotas are those of hierarchical cohorts as in Kueue: what a member lends to nobody is its own;
beyond that it draws on its cohort, which counts only what its members draw.
"""

from typing import NamedTuple

import numpy as np

from intertie.placement.given import LARGEST, Ints, Line, Payers, Takes, Tree
from intertie.world.compiling import anew, in_place

# What the turn between projects goes by, as a policy names it.
SHARES_BY = ("use", "dominant", "none")
# How urgent a member's next job is: it is below its floor, it is within its quota, it must borrow.
FLOOR, WITHIN, BORROWS = 0, 1, 2
WHOLE = 2**40  # the whole network, as a part of itself
NOBODY = -1
_HALF_BITS = 20
_LARGEST_TOTAL = 2**43


class Turn(NamedTuple):
    """Each member's next job, NOBODY if none waits, whose it is and how urgent; axes [member]."""

    job: Ints
    project: Ints
    urgency: Ints


@in_place
def next_job(payers: Payers, line: Line, kin: Ints, is_gang: Ints, turn: Turn, project: int) -> int:
    """Return the job whose turn it is, or NOBODY; kin[job] and is_gang[kin] are all of theirs.

    Since the last call only what `project` waits for, holds and has used may have changed; all may
    have with NOBODY.
    """
    parent = payers.tree.parent
    root, member = parent.shape[0] - 1, max(0, project)
    if root == 1:  # a project by itself has nobody to take turns with
        return _first_waiting(line, kin, 0)
    while True:
        _look_again(payers, line, kin, is_gang, turn, member)
        if member == root:
            return int(turn.job[root])
        member = member + 1 if project == NOBODY else parent[member]


@in_place
def is_within_quota(tree: Tree, project: int, amount: Ints, tasks: int) -> bool:
    """Return whether a project may hold so many tasks more, each of amount[limited]."""
    for resource in range(amount.shape[0]):
        more = amount[resource] * tasks
        if more > 0 and more > quota_left(tree, project, resource):
            return False
    return True


@in_place
def quota_left(tree: Tree, project: int, resource: int) -> int:
    """Return how much more a project may hold: what is its own, and what it may draw from above.

    Below 1 where it holds more than it may, because a quota was lowered.
    """
    root = tree.parent.shape[0] - 1
    left, own, member = LARGEST, 0, project
    while member != root and own < left:
        left = min(left, own + tree.most[member, resource] - tree.held[member, resource])
        own += _own_left(tree, member, resource)
        member = tree.parent[member]
    return left


@in_place
def take(payers: Payers, project: int, kin: int, tasks: int, use: int) -> None:
    """Count tasks of a kin as held and used by their project and all above it."""
    tree, takes = payers.tree, payers.takes
    root, member = tree.parent.shape[0] - 1, project
    hold(payers, project, takes.amount[kin], takes.part[kin], tasks)
    while member != root and not tree.is_dominant:
        payers.used[member] += use * tasks
        member = tree.parent[member]


@in_place
def hold(payers: Payers, project: int, amount: Ints, part: Ints, tasks: int) -> None:
    """Count so many tasks, each of amount[limited] and part[shared], as held; or, below 0, no more.

    A cohort counts what its members draw on it beyond what each lends to nobody.
    """
    tree, root = payers.tree, payers.tree.parent.shape[0] - 1
    for resource in range(amount.shape[0]):
        more, member = amount[resource] * tasks, project
        while more and member != root:
            drawn = _drawn(tree, member, resource)
            tree.held[member, resource] += more
            more, member = _drawn(tree, member, resource) - drawn, tree.parent[member]
    member = project
    while member != root:
        for resource in range(part.shape[0]):
            tree.part[member, resource] += part[resource] * tasks
        if tree.is_dominant:
            payers.used[member] = dominant(tree.part[member])
        member = tree.parent[member]


@in_place
def dominant(part: Ints) -> int:
    """Return the largest of a member's parts; axes [shared]."""
    most = 0
    for resource in range(part.shape[0]):
        most = max(most, part[resource])
    return most


@anew
def nobody_yet(members: int) -> Turn:
    """Return the turns before anybody was asked."""
    return Turn(np.full(members, NOBODY), np.zeros(members, np.int64), np.zeros(members, np.int64))


@anew
def flat(used: Ints, weight: Ints, wallet: Ints, queue: Ints, kins: int) -> Payers:
    """Return projects side by side that no quota and no floor tells apart, only their use."""
    projects = wallet.shape[0]
    parent = np.full(projects + 1, projects)
    first, end = np.zeros(projects + 1, np.int64), np.zeros(projects + 1, np.int64)
    end[projects] = projects
    none, floor = np.zeros((projects + 1, 0), np.int64), np.zeros(projects + 1, np.int64)
    children = np.arange(projects)
    tree = Tree(parent, children, first, end, none, none, none, none, none, floor, 0)
    takes = Takes(np.zeros((kins, 0), np.int64), np.zeros((kins, 0), np.int64))
    used, weight = np.append(used, 0), np.append(weight, 1)
    return Payers(used, weight, wallet, queue, tree, takes)


def parts_of(amounts: Ints, totals: Ints) -> Ints:
    """Return amounts[any, shared] as parts of totals[shared], in units of 1 / WHOLE, rounded down.

    Of what nobody has it is all. By two steps of long division, since int64 would wrap.
    """
    assert (totals < _LARGEST_TOTAL).all(), "give memory in MiB"
    totals = np.maximum(1, totals)
    amounts = np.minimum(amounts, totals * 2)
    whole, rest = np.divmod(amounts, totals)
    high, rest = np.divmod(rest << _HALF_BITS, totals)
    found: Ints = (whole << 2 * _HALF_BITS) + (high << _HALF_BITS) + (rest << _HALF_BITS) // totals
    return found


def bounds_of(
    parent: Ints, projects: int, quota: Ints, borrow: Ints, lend: Ints
) -> tuple[Ints, Ints, Ints]:
    """Return each member's quota, what of it is its own, and all that it may hold.

    Axes [member, limited], as those given; LARGEST stands for no bound. A cohort's quota is its own
    with all that its members lend. Nobody lends to the root or borrows from it.
    """
    root, most_summed = len(parent) - 1, LARGEST - 1
    quota, own, most = quota.copy(), quota.copy(), quota.copy()
    quota[projects:root][quota[projects:root] >= LARGEST] = 0
    for member in range(root):
        above = parent[member]
        own[member] = most[member] = quota[member]
        if above == root:
            continue
        lent = np.where(quota[member] < LARGEST, np.minimum(lend[member], quota[member]), 0)
        own[member] -= lent
        most[member] += np.minimum(borrow[member], LARGEST - quota[member])
        quota[above] = np.minimum(most_summed, quota[above] + lent)
    return quota, own, most


def drawn_up(held: Ints, own: Ints, parent: Ints, projects: int) -> Ints:
    """Return what each member counts as held[member, limited] when its projects hold so much.

    A cohort counts what its members draw beyond what they lend to nobody.
    """
    found, root = held.copy(), len(parent) - 1
    drawn = np.maximum(0, held[:projects] - own[:projects])
    np.add.at(found, parent[:projects], drawn)
    for member in range(projects, root):
        found[parent[member]] += np.maximum(0, found[member] - own[member])
    found[root] = 0
    return found


@in_place
def _look_again(
    payers: Payers, line: Line, kin: Ints, is_gang: Ints, turn: Turn, member: int
) -> None:
    """Find a member's next job, and how urgent it is, from its queue or from its children."""
    tree = payers.tree
    if member < line.end.shape[0]:
        turn.job[member], turn.project[member] = _first_waiting(line, kin, member), member
        turn.urgency[member] = WITHIN
    else:
        best = NOBODY
        for at in range(tree.first[member], tree.end[member]):
            child = tree.children[at]
            if turn.job[child] != NOBODY and (
                best == NOBODY or _goes_before(payers, turn, child, best)
            ):
                best = child
        turn.job[member], turn.urgency[member] = NOBODY, WITHIN
        if best != NOBODY:
            turn.job[member], turn.project[member] = turn.job[best], turn.project[best]
            turn.urgency[member] = turn.urgency[best]
    job = turn.job[member]
    if job != NOBODY and turn.urgency[member] != FLOOR:
        tasks = line.left[job] if is_gang[kin[job]] else 1
        turn.urgency[member] = _urgency(payers, member, turn.project[member], kin[job], tasks)


@in_place
def _first_waiting(line: Line, kin: Ints, project: int) -> int:
    at = line.head[project]
    while at < line.end[project] and (
        line.left[line.queue[at]] <= 0 or line.is_over[kin[line.queue[at]]]
    ):
        at += 1
    line.head[project] = at
    return int(line.queue[at]) if at < line.end[project] else NOBODY


@in_place
def _goes_before(payers: Payers, turn: Turn, one: int, other: int) -> bool:
    """Compare used_a * weight_b with used_b * weight_a, so that nothing is rounded."""
    if turn.urgency[one] != turn.urgency[other]:
        return bool(turn.urgency[one] < turn.urgency[other])
    used, weight = payers.used, payers.weight
    mine, others = used[one] * weight[other], used[other] * weight[one]
    if mine != others:
        return bool(mine < others)
    return bool(turn.job[one] < turn.job[other])


@in_place
def _urgency(payers: Payers, member: int, project: int, kin: int, tasks: int) -> int:
    """Return how urgent a member's next job is; it is of `project`, which may be the member."""
    tree = payers.tree
    if tree.part.shape[1] and dominant(tree.part[member]) < tree.floor[member]:
        return FLOOR
    for resource in range(tree.quota.shape[1]):
        more, below = payers.takes.amount[kin, resource] * tasks, project
        while below != member:
            more -= min(more, _own_left(tree, below, resource))
            below = tree.parent[below]
        if more > 0 and tree.held[member, resource] + more > tree.quota[member, resource]:
            return BORROWS
    return WITHIN


@in_place
def _own_left(tree: Tree, member: int, resource: int) -> int:
    """Return what is left of that part of a member's quota that it lends to nobody."""
    return int(max(0, tree.own[member, resource] - tree.held[member, resource]))


@in_place
def _drawn(tree: Tree, member: int, resource: int) -> int:
    """Return what a member draws on the cohort above it."""
    return int(max(0, tree.held[member, resource] - tree.own[member, resource]))
