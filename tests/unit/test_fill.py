"""The kernel `fill` agrees with its slow twin, which is its specification."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.fill import NO_TRADE, fill


@dataclass(frozen=True)
class Instance:
    """What `fill` is given, as plain lists; `need` and `free` by resource."""

    need: list[list[int]]
    count: list[int]
    is_gang: list[int]
    project: list[int]
    rank: list[list[int]]
    free: list[list[int]]
    lent: list[list[int]]
    node_pool: list[int]
    used: list[int]
    weight: list[int]
    task_use: list[int]


def fill_slowly(given: Instance) -> list[tuple[int, int]]:
    """Return (job, node) of each task placed, in the order they were placed.

    Again and again the project with the least use by weight places its first waiting job: one
    task, or a whole gang. What finds no room waits for another round.
    """
    free = [list(node) for node in given.free]
    lent = [list(pool) for pool in given.lent]
    used, left = list(given.used), list(given.count)
    placed: list[tuple[int, int]] = []
    while waiting := [job for job in range(len(left)) if left[job] > 0]:
        job = min(waiting, key=lambda j: (_use_by_weight(given, used, j), j))
        tasks = left[job] if given.is_gang[job] else 1
        nodes = _nodes_for(given, job, tasks, free, lent)
        if nodes is None:
            left[job] = 0
            continue
        for node in nodes:
            free[node] = _less(free[node], given.need[job])
            pool = given.node_pool[node]
            lent[pool] = _less(lent[pool], given.need[job])
            placed.append((job, node))
        left[job] -= tasks
        used[given.project[job]] += tasks * given.task_use[job]
    return placed


def _use_by_weight(given: Instance, used: list[int], job: int) -> Fraction:
    project = given.project[job]
    return Fraction(used[project], given.weight[project])


def _nodes_for(
    given: Instance, job: int, tasks: int, free: list[list[int]], lent: list[list[int]]
) -> list[int] | None:
    """Return a node for each of the tasks, or None if not all of them fit."""
    free, lent = [list(node) for node in free], [list(pool) for pool in lent]
    chosen = []
    for _ in range(tasks):
        fitting = [
            node
            for node, pool in enumerate(given.node_pool)
            if given.rank[job][pool] != NO_TRADE
            and _fits(given.need[job], free[node])
            and _fits(given.need[job], lent[pool])
        ]
        if not fitting:
            return None
        node = min(fitting, key=lambda n: (given.rank[job][given.node_pool[n]], free[n][0], n))
        free[node] = _less(free[node], given.need[job])
        pool = given.node_pool[node]
        lent[pool] = _less(lent[pool], given.need[job])
        chosen.append(node)
    return chosen


def _fits(need: list[int], free: list[int]) -> bool:
    return all(n <= f for n, f in zip(need, free, strict=True))


def _less(free: list[int], need: list[int]) -> list[int]:
    return [f - n for f, n in zip(free, need, strict=True)]


def kernel(given: Instance) -> list[tuple[int, int]]:
    """Return what the kernel places, as plain pairs."""
    pools, resources = len(given.lent), len(given.lent[0])
    arrays = {name: np.array(value, np.int64) for name, value in vars(given).items()}
    arrays["need"] = arrays["need"].reshape(-1, resources)
    arrays["rank"] = arrays["rank"].reshape(-1, pools)
    arrays["free"] = arrays["free"].reshape(-1, resources)
    jobs, nodes = fill(**arrays)
    return list(zip(jobs.tolist(), nodes.tolist(), strict=True))


def an_instance(**known: list[object]) -> Instance:
    """One job of one task of 1 in both resources, one node of 2 in one pool that lends 2."""
    usual: dict[str, list[object]] = {
        "need": [[1, 1]],
        "count": [1],
        "is_gang": [0],
        "project": [0],
        "rank": [[0]],
        "free": [[2, 2]],
        "lent": [[2, 2]],
        "node_pool": [0],
        "used": [0],
        "weight": [1],
        "task_use": [1],
    }
    return Instance(**(usual | known))  # type: ignore[arg-type]


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    pools = draw(st.integers(1, 3))
    projects = draw(st.integers(1, 3))
    jobs = draw(st.integers(0, 6))
    nodes = draw(st.integers(0, 5))

    def ints(size: int, least: int, most: int) -> list[int]:
        return draw(st.lists(st.integers(least, most), min_size=size, max_size=size))

    def rows(count: int, size: int, least: int, most: int) -> list[list[int]]:
        return [ints(size, least, most) for _ in range(count)]

    return Instance(
        need=rows(jobs, 3, 0, 4),
        count=ints(jobs, 0, 4),
        is_gang=ints(jobs, 0, 1),
        project=ints(jobs, 0, projects - 1),
        rank=rows(jobs, pools, NO_TRADE, 2),
        free=rows(nodes, 3, -1, 8),
        lent=rows(pools, 3, 0, 12),
        node_pool=ints(nodes, 0, pools - 1),
        used=ints(projects, 0, 20),
        weight=ints(projects, 1, 4),
        task_use=ints(jobs, 1, 6),
    )


@given(instances())
def test_the_kernel_places_exactly_what_its_slow_twin_places(given: Instance) -> None:
    assert kernel(given) == fill_slowly(given)


@given(instances())
def test_a_gang_is_placed_whole_or_not_at_all(given: Instance) -> None:
    placed = [job for job, _ in kernel(given)]
    for job, is_gang in enumerate(given.is_gang):
        if is_gang:
            assert placed.count(job) in (0, given.count[job])


@given(instances())
def test_no_node_and_no_pool_gives_more_than_it_has(given: Instance) -> None:
    placed = kernel(given)
    for resource in range(3):
        for node, free in enumerate(given.free):
            taken = sum(given.need[j][resource] for j, n in placed if n == node)
            assert not taken or taken <= free[resource]
        for pool, lent in enumerate(given.lent):
            taken = sum(given.need[j][resource] for j, n in placed if given.node_pool[n] == pool)
            assert taken <= lent[resource]


def test_the_kernel_changes_nothing_that_it_was_given() -> None:
    free, lent, used = np.full((1, 2), 4), np.full((1, 2), 4), np.zeros(1, np.int64)
    one = np.ones(1, np.int64)
    fill(np.ones((1, 2), np.int64), one, one, one * 0, one[:, None], free, lent, one * 0, used,
         one, one)  # fmt: skip
    assert free.tolist() == [[4, 4]]
    assert lent.tolist() == [[4, 4]]
    assert used.tolist() == [0]


def test_a_pool_lends_no_more_than_it_says_however_many_nodes_are_free() -> None:
    two_nodes = an_instance(count=[4], free=[[2, 2], [2, 2]], node_pool=[0, 0], lent=[[3, 9]])
    assert len(kernel(two_nodes)) == 3


def test_a_job_never_goes_where_bid_and_ask_do_not_meet() -> None:
    assert kernel(an_instance(rank=[[NO_TRADE]])) == []


def test_a_job_that_finds_no_room_steps_aside_for_those_behind_it() -> None:
    behind = an_instance(
        need=[[9, 9], [1, 1]], count=[1, 1], is_gang=[0, 0], project=[0, 0], rank=[[0], [0]],
        task_use=[1, 1],
    )  # fmt: skip
    assert kernel(behind) == [(1, 0)]


def test_the_project_with_the_least_use_by_weight_goes_first() -> None:
    rivals = an_instance(
        need=[[2, 2], [2, 2]], count=[1, 1], is_gang=[0, 0], project=[0, 1], rank=[[0], [0]],
        used=[10, 10], weight=[1, 2], task_use=[1, 1],
    )  # fmt: skip
    assert kernel(rivals) == [(1, 0)]


def test_the_fullest_node_of_the_best_pool_is_taken_first() -> None:
    nodes = an_instance(
        rank=[[1, 0]], free=[[1, 1], [9, 9], [3, 3]], node_pool=[0, 1, 1], lent=[[9, 9], [9, 9]]
    )
    assert kernel(nodes) == [(0, 2)]
