"""What the kernels of this room are given: bundles of int64 columns with named axes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
NO_TRADE = -1
LARGEST = 2**62
# What is known of a node, by the columns of `traits`: its pool's row, its device class, its wait.
POOL, CLASS, WAIT = 0, 1, 2
# What those behind the first job that finds no room may do, by their place in `BACKFILLS`.
FCFS, FIRST_FIT, EASY, EASY_SJBF = 0, 1, 2, 3
BACKFILLS = ("fcfs", "first-fit", "easy", "easy-sjbf")


class Jobs(NamedTuple):
    """Waiting jobs in queue order within their project; axes [job].

    Each one's kin, how many of its tasks wait, the budget that may still be set aside for it, and
    the length that a task is expected to have, in milliseconds.
    """

    kin: Ints
    tasks: Ints
    budget: Ints
    length: Ints


class Kins(NamedTuple):
    """What no two jobs of a kin differ in; axes [kin].

    need[kin, resource], the device class that it wants[kin] (0: any node will do),
    rank[kin, pool] with NO_TRADE where it may not go, hold[kin, pool] to be set aside for a task,
    use[kin] by a task, is_gang[kin], project[kin]. The last resource is devices.
    """

    need: Ints
    wants: Ints
    rank: Ints
    hold: Ints
    use: Ints
    is_gang: Ints
    project: Ints


class Places(NamedTuple):
    """Where tasks may go: free[node, resource], the size of one machine whole[node, resource].

    The node's traits[node, POOL | CLASS | WAIT] (the wait before a task starts there), and
    lent[pool, resource], what the owner still lends, whatever its nodes have free.
    """

    free: Ints
    whole: Ints
    traits: Ints
    lent: Ints


class Tree(NamedTuple):
    """Who stands where: axes [member], the projects first, then cohorts, and last the root.

    The children of a member are children[first : end]. Of the resources that some quota bounds:
    what it counts as held[member, limited], and its `quota` and the part of that which it lends to
    nobody, `own`, and all that it may hold with what it borrows, `most`; LARGEST where unbounded.
    Of all shared resources the part[member, shared] of the network that is held, in units of
    2**-40; who has less than its `floor` goes first. With `is_dominant` the largest part is what
    counts as used.
    """

    parent: Ints
    children: Ints
    first: Ints
    end: Ints
    held: Ints
    quota: Ints
    own: Ints
    most: Ints
    part: Ints
    floor: Ints
    is_dominant: int


class Takes(NamedTuple):
    """What a task adds to what its project holds: amount[kin, limited] and part[kin, shared]."""

    amount: Ints
    part: Ints


class Payers(NamedTuple):
    """The projects, and the tree in which they stand.

    used[member] in the unit of `Kins.use`, weight[member], wallet[project]; and the rows of the
    jobs by project and in the order in which each project wants them served, queue[job].
    """

    used: Ints
    weight: Ints
    wallet: Ints
    queue: Ints
    tree: Tree
    takes: Takes


class Releases(NamedTuple):
    """What runs; axes [lease].

    At the instant `at`, in milliseconds, it is expected to give back size[lease, resource] at its
    node. `order` are the rows of those that count, by that instant.
    """

    at: Ints
    node: Ints
    size: Ints
    order: Ints


class Kept(NamedTuple):
    """What will be free at the instant `at`[0], less what is kept then.

    free[node, resource], lent[pool, resource]. `at`[0] is LARGEST where nothing is kept, and
    `at`[1] the row of the job that it is kept for.
    """

    at: Ints
    free: Ints
    lent: Ints


class Line(NamedTuple):
    """The projects' queues as a fill goes through them.

    `queue` are rows of jobs, and of it each project's from its `head` to its `end`; of each job how
    many tasks are `left`, and whether its kin `is_over` for this fill.
    """

    queue: Ints
    head: Ints
    end: Ints
    left: Ints
    is_over: NDArray[np.bool_]


class Placed(NamedTuple):
    """The rows of jobs whose tasks were placed and the nodes that took them; axes [task].

    `by_end` is where they are put by their ends.
    """

    job: Ints
    node: Ints
    by_end: Ints
