"""The kernels that take room back agree with their slow twin, and keep what they promise."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.fill import fill
from intertie.placement.given import Places
from intertie.placement.keeping import nothing_kept
from intertie.placement.preempting import (
    NOW,
    SOON,
    TAKEN,
    Guests,
    claim,
    take_back,
    with_leaving,
    without_guests,
)
from tests.support.slow_fill import Instance, an_instance
from tests.support.slow_preempt import Guest, SlowPreempt
from tests.unit.test_fill import given_of, instances

WORDS = {"now": NOW, "soon": SOON, "taken": TAKEN}
Case = tuple[Instance, list[list[int]], list[Guest]]


class Taken:
    """What the kernels make of a case: claims, who ends, and what is left now and soon."""

    def __init__(self, case: Case) -> None:
        told, leaving, guests = case
        known = given_of(told)
        resources = len(told.lent[0])
        column = [
            np.array([getattr(g, n) for g in guests], np.int64) for n in Guest.__annotations__
        ]
        column[1] = column[1].reshape(-1, resources)
        self.guests = Guests(*column)
        self.places = known.places
        self.soon: Places = with_leaving(
            known.places, np.array(leaving, np.int64).reshape(-1, resources)
        )
        jobs, own = known.jobs, known.kins
        alone = without_guests(self.soon, self.guests)
        asked, payers, releases = deepcopy((jobs, known.payers, known.releases))
        ways = (payers, releases, nothing_kept(alone), known.backfill)
        rows, nodes = fill(asked, own, alone, *ways)
        wallet = known.payers.wallet
        found = claim(rows, nodes, jobs, own, self.places, self.soon, wallet)
        self.claims, gone = take_back(found, jobs, own, self.places, self.soon, self.guests)
        self.paid = (np.array(told.budget) - jobs.budget).tolist()
        self.ended = set(np.flatnonzero(gone).tolist())

    def tasks(self) -> list[tuple[int, int, int]]:
        return list(zip(*(each.tolist() for each in self.claims), strict=True))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    told = draw(instances())
    nodes = len(told.free)

    def rows(count: int, size: int, least: int, most: int) -> list[list[int]]:
        row = st.lists(st.integers(least, most), min_size=size, max_size=size)
        return draw(st.lists(row, min_size=count, max_size=count))

    sizes = st.lists(st.integers(0, 4), min_size=3, max_size=3)
    guest = st.builds(
        Guest, st.integers(0, max(0, nodes - 1)), sizes, st.integers(0, 5), st.integers(0, 9)
    )
    guests = draw(st.lists(guest, max_size=6 if nodes else 0))
    # Those of a gang lose one thing, and run on one pool.
    first = {g.group: g for g in reversed(guests)}
    guests = [
        replace(g, loss=first[g.group].loss)
        for g in guests
        if told.node_pool[g.node] == told.node_pool[first[g.group].node]
    ]
    return told, rows(nodes, 3, 0, 2), guests


@given(cases())
def test_the_kernels_take_back_what_their_slow_twin_does(case: Case) -> None:
    met, ended = SlowPreempt(*case).run()
    slow = [(each.job, node, WORDS[each.when]) for each in met for node in each.nodes]
    taken = Taken(case)
    assert (taken.tasks(), taken.ended) == (slow, ended)
    told = case[0]
    paid = [0] * len(told.kin)
    for each in met:
        for node in each.nodes if each.when == "now" else ():
            paid[each.job] += told.hold[told.kin[each.job]][told.node_pool[node]]
    assert taken.paid == paid


@given(cases())
def test_nobody_is_ended_who_could_have_stayed(case: Case) -> None:
    """Whoever ends does not fit what is left once every claim has its room."""
    told, _, guests = case
    taken = Taken(case)
    for row in taken.ended:
        free, lent = taken.soon.free.copy(), taken.soon.lent.copy()
        for member in (g for at, g in enumerate(guests) if at in taken.ended):
            if member.group == guests[row].group:
                free[member.node] -= member.size
                lent[told.node_pool[member.node]] -= member.size
        assert (free < 0).any() or (lent < 0).any()


@given(cases())
def test_nobody_is_ended_but_for_a_job_that_starts_so(case: Case) -> None:
    told, _, guests = case
    taken = Taken(case)
    pools = {told.node_pool[node] for _, node, when in taken.tasks() if when == TAKEN}
    assert {told.node_pool[guests[row].node] for row in taken.ended} <= pools
    for _, node, when in taken.tasks():
        if when == TAKEN:
            needed = told.need[told.kin[0]]
            assert all(
                left >= 0 or not n
                for left, n in zip(taken.soon.free[node].tolist(), needed, strict=True)
            ) or not any(needed)


@given(cases())
def test_room_that_is_being_made_is_kept_for_whom_it_is_made(case: Case) -> None:
    """What claims are to have is booked, below zero where guests hold it: nobody slips in."""
    told, _, _ = case
    taken = Taken(case)
    held = np.zeros_like(taken.places.free)
    for job, node, _ in taken.tasks():
        held[node] += told.need[told.kin[job]]
    assert (taken.places.free + held == np.array(told.free, np.int64).reshape(held.shape)).all()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 8))
def test_of_guests_alike_in_size_those_go_who_lose_least(losses: list[int], need: int) -> None:
    guests = [Guest(0, [1], at, loss) for at, loss in enumerate(losses)]
    told = an_instance(
        need=[[need]], free=[[0]], whole=[[8]], lent=[[0]], rank=[[0]], backfill="easy"
    )
    taken = Taken((told, [[0]], guests))
    count = need if need <= len(losses) else 0
    assert sum(losses[row] for row in taken.ended) == sum(sorted(losses)[:count])
    assert len(taken.ended) == count


def one_node(**known: Any) -> Instance:
    """Two devices in all and none of them free, and an owner's job that wants both."""
    usual: dict[str, Any] = {"need": [[2]], "free": [[0]], "whole": [[2]], "lent": [[0]]}
    return an_instance(**(usual | known))


def test_what_leaves_already_is_waited_for_and_nobody_else_is_ended() -> None:
    taken = Taken((one_node(), [[2]], [Guest(0, [2], 0, 1)]))
    assert (taken.tasks(), taken.ended) == ([(0, 0, SOON)], set())
    assert taken.places.free.tolist() == [[-2]]


def test_for_a_job_that_would_not_fit_even_so_nobody_is_ended() -> None:
    told = one_node(free=[[0]], whole=[[3]], need=[[3]])
    taken = Taken((told, [[0]], [Guest(0, [2], 0, 1)]))
    assert (taken.tasks(), taken.ended) == ([], set())


def test_a_gang_of_guests_ends_as_one_and_loses_once() -> None:
    guests = [Guest(0, [1], 7, 5), Guest(0, [1], 7, 5), Guest(0, [2], 8, 6)]
    taken = Taken((one_node(whole=[[4]]), [[0]], guests))
    assert taken.ended == {0, 1}
