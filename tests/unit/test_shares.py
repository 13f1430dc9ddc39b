"""The share tree: its kernels agree with their slow twin, and its laws hold."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.fill import fill
from intertie.placement.given import LARGEST, Payers, Takes, Tree
from intertie.placement.shares import WHOLE, bounds_of, drawn_up, parts_of
from tests.support.slow_shares import SharedInstance, SlowSharedFill
from tests.unit.test_fill import given_of, instances

RESOURCES = 2


@st.composite
def shared(draw: st.DrawFn) -> SharedInstance:
    """Projects and up to three cohorts; quotas, floors and what is held already."""
    plain = draw(instances())
    projects, cohorts = len(plain.wallet), draw(st.integers(0, 3))
    root = projects + cohorts
    above = [st.integers(projects, root)] * projects
    above += [st.integers(m + 1, root) for m in range(projects, root)]
    kins, jobs = len(plain.need), len(plain.kin)

    def ints(size: int, least: int, most: int) -> list[int]:
        return draw(st.lists(st.integers(least, most), min_size=size, max_size=size))

    def rows(count: int, least: int, most: int) -> list[list[int]]:
        return [ints(RESOURCES, least, most) for _ in range(count)]

    bound = st.one_of(st.none(), st.integers(0, 9))
    bounds = st.lists(
        st.lists(bound, min_size=RESOURCES, max_size=RESOURCES), min_size=root, max_size=root
    )
    told: dict[str, Any] = vars(plain) | {
        "parent": [*draw(st.tuples(*above)), root],
        "weight": [*ints(root, 1, 4), 1],
        "quota": draw(bounds),
        "borrow": draw(bounds),
        "lend": draw(bounds),
        "holds": rows(projects, 0, 6),
        "amount": rows(kins, 0, 4),
        "part": rows(root, 0, 6),
        "adds": rows(kins, 0, 3),
        "floor": ints(root, 0, draw(st.sampled_from((0, 9)))),
        "wish": ints(jobs, 0, 3),
        "is_dominant": draw(st.booleans()),
    }
    used = ints(root, 0, 20)
    told["used"] = [max(p) for p in told["part"]] if told["is_dominant"] else used
    return SharedInstance(**told)


def payers_of(told: SharedInstance) -> Payers:
    def column(values: object) -> Any:
        return np.array(values, np.int64)

    def bound(values: list[list[int | None]]) -> Any:
        rows = [[LARGEST if v is None else v for v in row] for row in values]
        return column([*rows, [LARGEST] * RESOURCES])

    root, projects = len(told.parent) - 1, len(told.wallet)
    parent = column(told.parent)
    quota, own, most = bounds_of(
        parent, projects, bound(told.quota), bound(told.borrow), bound(told.lend)
    )
    held = np.zeros_like(quota)
    held[:projects] = told.holds
    children = np.argsort(parent[:root], kind="stable")
    tree = Tree(
        parent=parent,
        children=children,
        first=np.searchsorted(parent[:root][children], np.arange(root + 1), "left"),
        end=np.searchsorted(parent[:root][children], np.arange(root + 1), "right"),
        held=drawn_up(held, own, parent, projects),
        quota=quota,
        own=own,
        most=most,
        part=column([*told.part, [0] * RESOURCES]),
        floor=column([*told.floor, 0]),
        is_dominant=int(told.is_dominant),
    )
    owner = [told.project[kin] for kin in told.kin]
    queue = np.lexsort((column(told.wish), column(owner)))
    takes = Takes(column(told.amount), column(told.adds))
    return Payers(
        column([*told.used, 0]), column(told.weight), column(told.wallet), queue, tree, takes
    )


def placed_of(told: SharedInstance) -> tuple[list[tuple[int, int]], Payers]:
    given, payers = given_of(told), payers_of(told)
    jobs, nodes = fill(
        given.jobs, given.kins, given.places, payers, given.releases, given.kept, given.backfill
    )
    return list(zip(jobs.tolist(), nodes.tolist(), strict=True)), payers


@given(shared())
def test_the_kernel_serves_a_tree_exactly_as_its_slow_twin_does(told: SharedInstance) -> None:
    slow = SlowSharedFill(told)
    placed, payers = placed_of(told)
    assert placed == slow.run()
    root = len(told.parent) - 1
    counted = slow.counts(slow.holds)
    for member in range(root):
        for resource in range(RESOURCES):
            if slow.quotas(member)[resource] is not None:
                assert payers.tree.held[member, resource] == counted[member][resource]
    assert payers.tree.part[:root].tolist() == slow.part
    if not told.is_dominant:
        assert payers.used[:root].tolist() == slow.used[:root]


@given(shared())
def test_nobody_comes_to_hold_more_than_quota_and_borrowing_limit(told: SharedInstance) -> None:
    placed, _ = placed_of(told)
    for project in range(len(told.wallet)):
        for resource in range(RESOURCES):
            quota, borrow = told.quota[project][resource], told.borrow[project][resource]
            new = taken(told, placed, project, resource)
            if quota is None or not new:
                continue
            if told.parent[project] == len(told.parent) - 1:
                borrow = 0
            if borrow is not None:
                assert told.holds[project][resource] + new <= quota + borrow


@given(shared())
def test_what_a_cohort_borrows_is_unused_by_those_who_lend_it(told: SharedInstance) -> None:
    placed, _ = placed_of(told)
    slow = SlowSharedFill(told)
    for job, _ in placed:
        slow.holds = slow._with(job, 1)
    before, after = slow.counts([list(h) for h in told.holds]), slow.counts(slow.holds)
    for cohort in range(len(told.wallet), len(told.parent) - 1):
        for resource, quota in enumerate(slow.quotas(cohort)):
            assert quota is not None
            borrow = told.borrow[cohort][resource]
            if told.parent[cohort] == len(told.parent) - 1:
                borrow = 0
            if borrow is not None and after[cohort][resource] > before[cohort][resource]:
                assert after[cohort][resource] <= quota + borrow


@given(shared())
def test_a_floor_is_reached_before_anybody_at_the_same_table_is_served_by_share(
    told: SharedInstance,
) -> None:
    """The first task placed is of who is below a floor, if any such job can be placed alone."""
    placed, _ = placed_of(told)
    below = [p for p in range(len(told.wallet)) if max(told.part[p]) < told.floor[p]]
    if not placed or told.backfill != "first-fit":
        return
    first = told.project[told.kin[placed[0][0]]]
    for project in below:
        alone = replace(told, tasks=[
            tasks if told.project[told.kin[job]] == project else 0
            for job, tasks in enumerate(told.tasks)
        ])  # fmt: skip
        if placed_of(alone)[0]:
            slow = SlowSharedFill(told)
            assert slow._is_hurried(first) or is_in_hurried_cohort(slow, first)


def is_in_hurried_cohort(slow: SlowSharedFill, member: int) -> bool:
    above = slow.given.parent[member]
    return above != slow.root and (
        max(slow.part[above]) < slow.given.floor[above] or is_in_hurried_cohort(slow, above)
    )


def taken(told: SharedInstance, placed: list[tuple[int, int]], project: int, at: int) -> int:
    kins = [told.kin[job] for job, _ in placed]
    return sum(told.amount[kin][at] for kin in kins if told.project[kin] == project)


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=4), st.integers(1, 2**43 - 1))
def test_a_part_is_what_long_division_says(amounts: list[int], total: int) -> None:
    found = parts_of(np.array([amounts]).T, np.array([total]))
    for amount, part in zip(amounts, found[:, 0].tolist(), strict=True):
        assert part == min(amount, 2 * total) * WHOLE // total
