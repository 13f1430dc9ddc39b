"""The kernel `fill` agrees with its slow twin, which is its specification."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.fill import fill, has_room, waits
from intertie.placement.given import (
    BACKFILLS,
    NO_TRADE,
    Jobs,
    Kept,
    Kins,
    Payers,
    Places,
    Releases,
)
from intertie.placement.keeping import nothing_kept
from intertie.placement.shares import flat
from tests.support.slow_fill import Instance, SlowFill, an_instance


@dataclass
class Given:
    """An instance as the kernel takes it."""

    jobs: Jobs
    kins: Kins
    places: Places
    payers: Payers
    releases: Releases
    kept: Kept
    backfill: int


def given_of(told: Instance) -> Given:
    pools, resources = len(told.lent), len(told.lent[0])

    def column(values: object, *shape: int) -> Any:
        return np.array(values, np.int64).reshape(*(shape or (-1,)))

    traits = [told.node_pool, told.node_class, told.node_wait]
    places = Places(
        column(told.free, -1, resources),
        column(told.whole, -1, resources),
        column(traits, 3, -1).T.copy(),
        column(told.lent, -1, resources),
    )
    kins = Kins(
        column(told.need, -1, resources),
        column(told.wants),
        column(told.rank, -1, pools),
        column(told.hold, -1, pools),
        column(told.use),
        column(told.is_gang),
        column(told.project),
    )
    at, node, size = ([each[part] for each in told.releases] for part in range(3))
    return Given(
        Jobs(*(column(getattr(told, name)) for name in Jobs._fields)),
        kins,
        places,
        flat(
            column(told.used),
            column(told.weight),
            column(told.wallet),
            by_project(told),
            len(told.need),
        ),
        Releases(column(at), column(node), column(size, -1, resources), np.argsort(column(at))),
        nothing_kept(places),
        BACKFILLS.index(told.backfill),
    )


def by_project(told: Instance) -> Any:
    """The jobs of each project together, in their order."""
    return np.argsort([told.project[kin] for kin in told.kin], kind="stable").astype(np.int64)


def kernel(told: Instance) -> list[tuple[int, int]]:
    """Return what the kernel places, as plain pairs."""
    jobs, nodes = fill(*vars(given_of(told)).values())
    return list(zip(jobs.tolist(), nodes.tolist(), strict=True))


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

    sizes = st.lists(st.integers(0, 4), min_size=3, max_size=3)
    ends = st.tuples(st.integers(0, 6), st.integers(0, max(0, nodes - 1)), sizes)
    return Instance(
        kin=ints(jobs, 0, kins - 1),
        tasks=ints(jobs, 0, 4),
        budget=ints(jobs, 0, 20),
        length=ints(jobs, 1, 6),
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
        releases=draw(st.lists(ends, max_size=5)) if nodes else [],
        backfill=draw(st.sampled_from(BACKFILLS)),
    )


@given(instances())
def test_the_kernel_places_exactly_what_its_slow_twin_places(given: Instance) -> None:
    assert kernel(given) == SlowFill(given).run()


@given(instances())
def test_what_the_kernel_leaves_is_what_its_slow_twin_leaves(told: Instance) -> None:
    given, slow = given_of(told), SlowFill(told)
    fill(*vars(given).values())
    slow.run()
    left = {"budget": given.jobs.budget, "free": given.places.free, "lent": given.places.lent}
    left |= {"used": given.payers.used[:-1], "wallet": given.payers.wallet}
    for name, found in left.items():
        assert found.tolist() == getattr(slow, name), name
    assert given.jobs.tasks.tolist() == told.tasks
    assert given.kept.at[0] == slow.kept_at
    if slow.later is not None:
        assert given.kept.free.tolist() == slow.later.free
        assert given.kept.lent.tolist() == slow.later.lent


@given(instances())
def test_a_kin_has_room_where_its_slow_twin_finds_a_node_for_a_task_that_costs_nothing(
    told: Instance,
) -> None:
    given = given_of(told)
    found = has_room(given.kins, given.places)
    free = [[0] * len(told.lent)] * len(told.need)
    for kin in range(len(told.need)):
        alone = replace(told, kin=[kin], tasks=[1], budget=[0], length=[1], hold=free)
        assert found[kin] == bool(SlowFill(alone).run())


@given(instances())
def test_a_kin_waits_as_long_as_the_least_waiting_machine_that_could_hold_it(
    told: Instance,
) -> None:
    given = given_of(told)
    found = waits(given.kins.need, given.kins.wants, given.places)
    for kin, (need, wants) in enumerate(zip(told.need, told.wants, strict=True)):
        for pool in range(len(told.lent)):
            suiting = [
                told.node_wait[node]
                for node, whole in enumerate(told.whole)
                if told.node_pool[node] == pool
                and wants in (0, told.node_class[node])
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
            assert placed.count(job) in (0, given.tasks[job])


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
    two_nodes = an_instance(tasks=[4], free=[[2, 2], [2, 2]], node_pool=[0, 0], lent=[[3, 9]])
    assert len(kernel(two_nodes)) == 3


def test_a_job_never_goes_where_bid_and_ask_do_not_meet() -> None:
    assert kernel(an_instance(rank=[[NO_TRADE]])) == []


def test_a_job_that_finds_no_room_steps_aside_for_those_behind_it() -> None:
    behind = an_instance(
        kin=[0, 1], tasks=[1, 1], budget=[9, 9], need=[[9, 9], [1, 1]], rank=[[0], [0]],
        hold=[[1], [1]], use=[1, 1], is_gang=[0, 0], project=[0, 0],
    )  # fmt: skip
    assert kernel(behind) == [(1, 0)]


def test_a_job_without_money_leaves_its_room_to_those_behind_it() -> None:
    two = an_instance(kin=[0, 0], tasks=[2, 2], budget=[1, 9], free=[[3, 3]], lent=[[3, 3]])
    assert kernel(two) == [(0, 0), (1, 0), (1, 0)]


def test_the_project_with_the_least_use_by_weight_goes_first() -> None:
    rivals = an_instance(
        kin=[0, 1], tasks=[1, 1], budget=[9, 9], need=[[2, 2], [2, 2]], rank=[[0], [0]],
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
        tasks=[3], is_gang=[1], rank=[[0, 1, 2]], hold=[[1, 1, 1]],
        free=[[2, 2], [2, 2], [1, 1], [4, 4]], node_pool=[0, 1, 1, 2], lent=[[9, 9]] * 3,
    )  # fmt: skip
    assert kernel(pools) == [(0, 2), (0, 1), (0, 1)]
    assert kernel(replace(pools, lent=[[9, 9], [2, 2], [9, 9]])) == [(0, 3)] * 3


def test_a_gang_that_no_pool_holds_whole_leaves_its_room_to_those_behind_it() -> None:
    halves = an_instance(
        kin=[0, 1, 0], tasks=[4, 1, 2], budget=[9, 9, 9], need=[[1, 1], [1, 1]],
        rank=[[0, 0], [0, 0]], hold=[[1, 1], [1, 1]], use=[1, 1], is_gang=[1, 0], project=[0, 0],
        free=[[2, 2], [2, 2]], node_pool=[0, 1], lent=[[9, 9], [9, 9]],
    )  # fmt: skip
    assert kernel(halves) == [(1, 0), (2, 1), (2, 1)]


def test_what_is_free_in_a_group_is_a_sum_but_a_task_must_fit_one_of_its_machines() -> None:
    group = an_instance(tasks=[3], need=[[3, 0]], free=[[8, 8]], whole=[[4, 4]], lent=[[8, 8]])
    assert len(kernel(group)) == 2
    assert kernel(replace(group, need=[[5, 0]])) == []


def test_a_device_class_is_never_mistaken_for_another() -> None:
    mixed = an_instance(
        tasks=[4], wants=[7], free=[[4, 4], [4, 2]], node_class=[5, 7], node_pool=[0, 0],
        lent=[[8, 8]],
    )  # fmt: skip
    assert kernel(mixed) == [(0, 1), (0, 1)]
    assert len(kernel(replace(mixed, wants=[0]))) == 4


def test_work_without_devices_leaves_the_devices_to_those_who_need_them() -> None:
    mixed = an_instance(
        tasks=[2], need=[[1, 0]], free=[[1, 4], [2, 0]], node_class=[5, 0], node_pool=[0, 0],
        lent=[[9, 9]],
    )  # fmt: skip
    assert kernel(mixed) == [(0, 1), (0, 1)]


def test_of_two_like_nodes_the_one_whose_queue_is_shorter_is_taken() -> None:
    queues = an_instance(free=[[2, 2], [3, 3]], node_wait=[60, 10], node_pool=[0, 0], lent=[[9, 9]])
    assert kernel(queues) == [(0, 1)]
