"""The kernel `fill` agrees with its slow twin, which is its specification."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.fill import NO_TRADE, fill, has_room, waits


@dataclass(frozen=True)
class Instance:
    """What `fill` is given, as plain lists; `need`, `free`, `whole` and `lent` by resource."""

    kin: list[int]
    count: list[int]
    budget: list[int]
    need: list[list[int]]
    wants: list[int]
    rank: list[list[int]]
    hold: list[list[int]]
    use: list[int]
    is_gang: list[int]
    project: list[int]
    free: list[list[int]]
    whole: list[list[int]]
    node_class: list[int]
    node_wait: list[int]
    node_pool: list[int]
    lent: list[list[int]]
    used: list[int]
    weight: list[int]
    wallet: list[int]


class SlowFill:
    """`fill` as its specification: what is left of everything, and nothing remembered.

    Again and again the project with the least use by weight places its first waiting job: one
    task, or a whole gang. What finds no node steps aside until another fill.
    """

    def __init__(self, given: Instance) -> None:
        self.given = given
        self.left, self.budget = list(given.count), list(given.budget)
        self.free, self.lent = [list(n) for n in given.free], [list(p) for p in given.lent]
        self.used, self.wallet = list(given.used), list(given.wallet)

    def run(self) -> list[tuple[int, int]]:
        """Return (job, node) of each task placed, in the order they were placed."""
        placed: list[tuple[int, int]] = []
        while waiting := [job for job in range(len(self.left)) if self.left[job] > 0]:
            job = min(waiting, key=lambda j: (self._use_by_weight(j), j))
            tasks = self.left[job] if self._of_kin("is_gang", job) else 1
            nodes = self._nodes_for(job, tasks)
            if nodes is None:
                self.left[job] = 0
                continue
            for node in nodes:
                self._take(job, node)
                placed.append((job, node))
            self.left[job] -= tasks
            self.used[self._of_kin("project", job)] += tasks * self._of_kin("use", job)
        return placed

    def _of_kin(self, name: str, job: int) -> Any:
        return getattr(self.given, name)[self.given.kin[job]]

    def _use_by_weight(self, job: int) -> Fraction:
        project = self._of_kin("project", job)
        return Fraction(self.used[project], self.given.weight[project])

    def _nodes_for(self, job: int, tasks: int) -> list[int] | None:
        """Return a node for each of the tasks, or None if not all of them fit and can be paid.

        All of one pool: of those that can hold them all the one where the first would rather be.
        """
        most = min(self.budget[job], self.wallet[self._of_kin("project", job)]) // tasks
        anywhere = range(len(self.given.lent))
        first_choices = self._fitting(job, most, anywhere)
        for pool in dict.fromkeys(self.given.node_pool[node] for node in first_choices):
            trial = SlowFill(self.given)
            trial.__dict__ |= deepcopy({k: v for k, v in vars(self).items() if k != "given"})
            chosen: list[int] = []
            while len(chosen) < tasks and (nodes := trial._fitting(job, most, [pool])):
                trial._take(job, nodes[0])
                chosen.append(nodes[0])
            if len(chosen) == tasks:
                return chosen
        return None

    def _fitting(self, job: int, most: int, pools: Iterable[int]) -> list[int]:
        """Return the nodes with room for one task that costs at most `most`, the best first."""
        rank, hold = self._of_kin("rank", job), self._of_kin("hold", job)
        fitting = [
            node
            for node, pool in enumerate(self.given.node_pool)
            if pool in pools
            and rank[pool] != NO_TRADE
            and hold[pool] <= most
            and self._has_room(job, node)
        ]
        return sorted(fitting, key=lambda n: (rank[self.given.node_pool[n]], self._order(n)))

    def _order(self, node: int) -> tuple[int, int, int, int]:
        """Least wait, fewest devices free, fullest, first."""
        return self.given.node_wait[node], self.free[node][-1], self.free[node][0], node

    def _has_room(self, job: int, node: int) -> bool:
        given, need, wants = self.given, self._of_kin("need", job), self._of_kin("wants", job)
        limits = (self.free[node], self.lent[given.node_pool[node]], given.whole[node])
        is_class = not wants or wants == given.node_class[node]
        return is_class and all(
            n <= most for limit in limits for n, most in zip(need, limit, strict=True)
        )

    def _take(self, job: int, node: int) -> None:
        pool = self.given.node_pool[node]
        for resource, need in enumerate(self._of_kin("need", job)):
            self.free[node][resource] -= need
            self.lent[pool][resource] -= need
        cost = self._of_kin("hold", job)[pool]
        self.budget[job] -= cost
        self.wallet[self._of_kin("project", job)] -= cost


def arrays_of(given: Instance) -> dict[str, Any]:
    """Return an instance as the kernel takes it."""
    pools, resources = len(given.lent), len(given.lent[0])
    arrays = {name: np.array(value, np.int64) for name, value in vars(given).items()}
    by_node = [arrays.pop(f"node_{name}") for name in ("pool", "class", "wait")]
    arrays["traits"] = np.stack(by_node, axis=1)
    for name in ("need", "free", "whole"):
        arrays[name] = arrays[name].reshape(-1, resources)
    for name in ("rank", "hold"):
        arrays[name] = arrays[name].reshape(-1, pools)
    return arrays


def kernel(given: Instance) -> list[tuple[int, int]]:
    """Return what the kernel places, as plain pairs."""
    jobs, nodes = fill(**arrays_of(given))
    return list(zip(jobs.tolist(), nodes.tolist(), strict=True))


def an_instance(**known: list[object]) -> Instance:
    """One job of one task of 1 in both resources, one node of 2 in one pool that lends 2."""
    nodes: int = len(known.get("free", [0]))
    kins: int = len(known.get("need", [0]))
    usual: dict[str, list[object]] = {
        "kin": [0],
        "count": [1],
        "budget": [100],
        "need": [[1, 1]],
        "wants": [0] * kins,
        "rank": [[0]],
        "hold": [[1]],
        "use": [1],
        "is_gang": [0],
        "project": [0],
        "free": [[2, 2]],
        "whole": known.get("free", [[2, 2]]),
        "node_class": [0] * nodes,
        "node_wait": [0] * nodes,
        "node_pool": [0],
        "lent": [[2, 2]],
        "used": [0],
        "weight": [1],
        "wallet": [100],
    }
    return Instance(**(usual | known))  # type: ignore[arg-type]


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    pools = draw(st.integers(1, 3))
    projects = draw(st.integers(1, 3))
    kins = draw(st.integers(1, 4))
    jobs = draw(st.integers(0, 6))
    nodes = draw(st.integers(0, 5))

    def ints(size: int, least: int, most: int) -> list[int]:
        return draw(st.lists(st.integers(least, most), min_size=size, max_size=size))

    def rows(count: int, size: int, least: int, most: int) -> list[list[int]]:
        return [ints(size, least, most) for _ in range(count)]

    return Instance(
        kin=ints(jobs, 0, kins - 1),
        count=ints(jobs, 0, 4),
        budget=ints(jobs, 0, 20),
        need=rows(kins, 3, 0, 4),
        wants=ints(kins, 0, 2),
        rank=rows(kins, pools, NO_TRADE, 2),
        hold=rows(kins, pools, 0, 6),
        use=ints(kins, 1, 6),
        is_gang=ints(kins, 0, 1),
        project=ints(kins, 0, projects - 1),
        free=rows(nodes, 3, -1, 8),
        whole=rows(nodes, 3, 1, 5),
        node_class=ints(nodes, 0, 2),
        node_wait=ints(nodes, 0, 2),
        node_pool=ints(nodes, 0, pools - 1),
        lent=rows(pools, 3, 0, 12),
        used=ints(projects, 0, 20),
        weight=ints(projects, 1, 4),
        wallet=ints(projects, 0, 40),
    )


@given(instances())
def test_the_kernel_places_exactly_what_its_slow_twin_places(given: Instance) -> None:
    assert kernel(given) == SlowFill(given).run()


@given(instances())
def test_what_the_kernel_leaves_is_what_its_slow_twin_leaves(given: Instance) -> None:
    arrays, slow = arrays_of(given), SlowFill(given)
    fill(**arrays)
    slow.run()
    for name in ("budget", "free", "lent", "used", "wallet"):
        assert arrays[name].tolist() == getattr(slow, name), name
    assert arrays["count"].tolist() == given.count


@given(instances())
def test_a_kin_has_room_where_its_slow_twin_finds_a_node_for_a_task_that_costs_nothing(
    given: Instance,
) -> None:
    arrays = arrays_of(given)
    named = ("need", "wants", "rank", "free", "whole", "traits", "lent")
    found = has_room(*(arrays[name] for name in named))
    for kin in range(len(given.need)):
        alone = replace(
            given, kin=[kin], count=[1], budget=[0], hold=[[0] * len(given.lent)] * len(given.need)
        )
        assert found[kin] == bool(SlowFill(alone).run())


@given(instances())
def test_a_kin_waits_as_long_as_the_least_waiting_machine_that_could_hold_it(
    given: Instance,
) -> None:
    arrays = arrays_of(given)
    named = ("need", "wants", "whole", "traits")
    found = waits(*(arrays[name] for name in named), len(given.lent))
    for kin, (need, wants) in enumerate(zip(given.need, given.wants, strict=True)):
        for pool in range(len(given.lent)):
            suiting = [
                given.node_wait[node]
                for node, whole in enumerate(given.whole)
                if given.node_pool[node] == pool
                and wants in (0, given.node_class[node])
                and all(n <= w for n, w in zip(need, whole, strict=True))
            ]
            assert found[kin, pool] == min(suiting, default=0)


@given(instances())
def test_a_task_goes_only_to_machines_of_its_class_that_could_hold_it_alone(
    given: Instance,
) -> None:
    for job, node in kernel(given):
        kin = given.kin[job]
        assert given.wants[kin] in (0, given.node_class[node])
        assert all(n <= w for n, w in zip(given.need[kin], given.whole[node], strict=True))


@given(instances())
def test_a_gang_is_placed_whole_or_not_at_all(given: Instance) -> None:
    placed = [job for job, _ in kernel(given)]
    for job, kin in enumerate(given.kin):
        if given.is_gang[kin]:
            assert placed.count(job) in (0, given.count[job])


@given(instances())
def test_a_gang_is_never_split_over_pools(given: Instance) -> None:
    pools_of: dict[int, set[int]] = {}
    for job, node in kernel(given):
        pools_of.setdefault(job, set()).add(given.node_pool[node])
    for job, pools in pools_of.items():
        assert len(pools) == 1 or not given.is_gang[given.kin[job]]


@given(instances())
def test_no_node_and_no_pool_and_nobody_gives_more_than_it_has(given: Instance) -> None:
    placed = [(j, given.kin[j], n, given.node_pool[n]) for j, n in kernel(given)]
    for resource in range(3):
        for node, free in enumerate(given.free):
            taken = sum(given.need[k][resource] for _, k, n, _ in placed if n == node)
            assert not taken or taken <= free[resource]
        for pool, lent in enumerate(given.lent):
            taken = sum(given.need[k][resource] for _, k, _, p in placed if p == pool)
            assert taken <= lent[resource]
    for project, wallet in enumerate(given.wallet):
        costs = [given.hold[k][p] for _, k, _, p in placed if given.project[k] == project]
        assert sum(costs) <= wallet
    for job, budget in enumerate(given.budget):
        assert sum(given.hold[k][p] for j, k, _, p in placed if j == job) <= budget


def test_a_pool_lends_no_more_than_it_says_however_many_nodes_are_free() -> None:
    two_nodes = an_instance(count=[4], free=[[2, 2], [2, 2]], node_pool=[0, 0], lent=[[3, 9]])
    assert len(kernel(two_nodes)) == 3


def test_a_job_never_goes_where_bid_and_ask_do_not_meet() -> None:
    assert kernel(an_instance(rank=[[NO_TRADE]])) == []


def test_a_job_that_finds_no_room_steps_aside_for_those_behind_it() -> None:
    behind = an_instance(
        kin=[0, 1], count=[1, 1], budget=[9, 9], need=[[9, 9], [1, 1]], rank=[[0], [0]],
        hold=[[1], [1]], use=[1, 1], is_gang=[0, 0], project=[0, 0],
    )  # fmt: skip
    assert kernel(behind) == [(1, 0)]


def test_a_job_without_money_leaves_its_room_to_those_behind_it() -> None:
    two = an_instance(kin=[0, 0], count=[2, 2], budget=[1, 9], free=[[3, 3]], lent=[[3, 3]])
    assert kernel(two) == [(0, 0), (1, 0), (1, 0)]


def test_the_project_with_the_least_use_by_weight_goes_first() -> None:
    rivals = an_instance(
        kin=[0, 1], count=[1, 1], budget=[9, 9], need=[[2, 2], [2, 2]], rank=[[0], [0]],
        hold=[[1], [1]], use=[1, 1], is_gang=[0, 0], project=[0, 1], used=[10, 10], weight=[1, 2],
        wallet=[9, 9],
    )  # fmt: skip
    assert kernel(rivals) == [(1, 0)]


def test_the_fullest_node_of_the_best_pool_is_taken_first() -> None:
    nodes = an_instance(
        rank=[[1, 0]], hold=[[1, 1]], free=[[1, 1], [9, 9], [3, 3]], node_pool=[0, 1, 1],
        lent=[[9, 9], [9, 9]],
    )  # fmt: skip
    assert kernel(nodes) == [(0, 2)]


def test_a_task_goes_to_a_worse_pool_where_the_better_costs_more_than_is_left() -> None:
    pools = an_instance(
        rank=[[0, 1]], hold=[[9, 2]], budget=[5], free=[[2, 2], [2, 2]], node_pool=[0, 1],
        lent=[[9, 9], [9, 9]],
    )  # fmt: skip
    assert kernel(pools) == [(0, 1)]


def test_a_gang_goes_whole_to_the_best_pool_that_holds_all_of_it() -> None:
    pools = an_instance(
        count=[3], is_gang=[1], rank=[[0, 1, 2]], hold=[[1, 1, 1]],
        free=[[2, 2], [2, 2], [1, 1], [4, 4]], node_pool=[0, 1, 1, 2], lent=[[9, 9]] * 3,
    )  # fmt: skip
    assert kernel(pools) == [(0, 2), (0, 1), (0, 1)]
    assert kernel(replace(pools, lent=[[9, 9], [2, 2], [9, 9]])) == [(0, 3)] * 3


def test_a_gang_that_no_pool_holds_whole_leaves_its_room_to_those_behind_it() -> None:
    halves = an_instance(
        kin=[0, 1, 0], count=[4, 1, 2], budget=[9, 9, 9], need=[[1, 1], [1, 1]],
        rank=[[0, 0], [0, 0]], hold=[[1, 1], [1, 1]], use=[1, 1], is_gang=[1, 0], project=[0, 0],
        free=[[2, 2], [2, 2]], node_pool=[0, 1], lent=[[9, 9], [9, 9]],
    )  # fmt: skip
    assert kernel(halves) == [(1, 0), (2, 1), (2, 1)]


def test_what_is_free_in_a_group_is_a_sum_but_a_task_must_fit_one_of_its_machines() -> None:
    group = an_instance(count=[3], need=[[3, 0]], free=[[8, 8]], whole=[[4, 4]], lent=[[8, 8]])
    assert len(kernel(group)) == 2
    assert kernel(replace(group, need=[[5, 0]])) == []


def test_a_device_class_is_never_mistaken_for_another() -> None:
    mixed = an_instance(
        count=[4], wants=[7], free=[[4, 4], [4, 2]], node_class=[5, 7], node_pool=[0, 0],
        lent=[[8, 8]],
    )  # fmt: skip
    assert kernel(mixed) == [(0, 1), (0, 1)]
    assert len(kernel(replace(mixed, wants=[0]))) == 4


def test_work_without_devices_leaves_the_devices_to_those_who_need_them() -> None:
    mixed = an_instance(
        count=[2], need=[[1, 0]], free=[[1, 4], [2, 0]], node_class=[5, 0], node_pool=[0, 0],
        lent=[[9, 9]],
    )  # fmt: skip
    assert kernel(mixed) == [(0, 1), (0, 1)]


def test_of_two_like_nodes_the_one_whose_queue_is_shorter_is_taken() -> None:
    queues = an_instance(free=[[2, 2], [3, 3]], node_wait=[60, 10], node_pool=[0, 0], lent=[[9, 9]])
    assert kernel(queues) == [(0, 1)]
