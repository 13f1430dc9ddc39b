"""Quotas, cohorts and floors through the whole river."""

from typing import Any

import pytest

from intertie.cycle.sharing import share_tree
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.request import Resources
from intertie.model.shares import HeldShare, Share
from intertie.model.states import JobState
from intertie.model.units import GIB
from intertie.simulator.recording import replay
from tests.builders import ANetwork, a_node, job_of, leases_of, some_terms
from tests.property.derived import decides_alike_afresh
from tests.property.laws import speaks_every_language


class Shared(ANetwork):
    """One machine of so many cores, whose projects stand in a tree."""

    def __init__(self, cores: int, policy: Policy | None = None) -> None:
        super().__init__(policy or Policy())
        node = a_node(cpus_milli=1000 * cores, memory_bytes=64 * GIB)
        terms = some_terms(lent_cpus_milli=1000 * cores, lent_memory_bytes=64 * GIB)
        self.pool("lab", nodes=(node,), terms=terms)

    def cohort(self, name: str, parent: int = 0, weight: int = 1, floor_ppm: int = 0) -> int:
        body = {"name": name, "parent": parent, "weight": weight, "floor_ppm": floor_ppm}
        return self.ask("cohort", 0, body).values["cohort"]

    def set(self, kind: str, number: int, **told: Any) -> Refusal | None:
        return self.ask("share", 0, {"kind": kind, "number": number} | told).refusal

    def bound(self, project: int, cores: int, **limits: int) -> None:
        milli = {name: 1000 * value for name, value in limits.items()}
        limit = {"resource": "cpus", "quota": 1000 * cores} | milli
        assert self.set("project", project, limits=[limit]) is None

    def work(self, project: int, tasks: int, seconds: int = 600, **known: Any) -> int:
        return self.job(
            project, task_count=tasks, expected_s=seconds, time_limit_s=seconds, **known
        )

    def held(self, project: int) -> int:
        self.pass_s(2)
        return sum(x.cpus_milli for x in leases_of(self) if x.project == project) // 1000

    def why(self, project: int, job: int) -> Refusal:
        found = self.ask("why", project, {"job": job}).document.nearest
        assert isinstance(found, Refusal)
        speaks_every_language(found)
        return found

    def share(self, project: int) -> Share:
        tree = share_tree(self.world, self.policy, self.now)
        return next(each for each in tree.shares if each.number == project)

    def cores(self, project: int) -> HeldShare:
        return next(r for r in self.share(project).resources if r.resource == "cpus")


def test_a_quota_bounds_what_a_project_holds_although_more_is_free() -> None:
    network = Shared(8)
    lab = network.project("lab")
    network.bound(lab, 3)
    job = network.work(lab, 5)
    assert network.held(lab) == 3
    refusal = network.why(lab, job)
    assert (refusal.code, refusal.values) == (
        "over_quota_cpus",
        {"needs_milli": 1000, "left_milli": 0},
    )
    assert refusal.relaxation is not None
    assert refusal.relaxation.code == "wait"
    assert 590 <= int(refusal.relaxation.values["about_s"]) <= 610
    network.pass_s(700)
    assert len([x for x in leases_of(network) if x.project == lab]) == 5


def test_a_task_larger_than_its_quota_says_how_large_the_quota_must_be() -> None:
    network = Shared(8)
    lab = network.project("lab")
    network.bound(lab, 2)
    job = network.work(lab, 1, resources=Resources(cpus_milli=5000))
    relaxation = network.why(lab, job).relaxation
    assert relaxation is not None
    assert (relaxation.code, relaxation.values) == ("raise_quota_cpus", {"to_milli": 5000})
    network.bound(lab, 5)
    assert network.held(lab) == 5


def test_a_cohort_borrows_what_its_members_leave_and_no_more() -> None:
    network = Shared(16)
    one, other = network.project("one"), network.project("other")
    cohort = network.cohort("physics")
    for project, cores in ((one, 4), (other, 4)):
        network.bound(project, cores)
        assert network.set("project", project, parent=cohort) is None
    network.work(one, 20)
    assert network.held(one) == 8
    assert (network.cores(one).borrowed, network.cores(other).lent) == (4000, 4000)
    job = network.work(other, 2)
    relaxation = network.why(other, job).relaxation
    assert relaxation is not None
    assert (relaxation.code, relaxation.values) == ("cohort_lends_cpus", {"lent_milli": 1000})


@pytest.mark.parametrize(("limits", "held"), [({"borrow": 1}, 5), ({"borrow": 0}, 4), ({}, 7)])
def test_borrowing_and_lending_limits_are_kept(limits: dict[str, int], held: int) -> None:
    network = Shared(16)
    one, other = network.project("one"), network.project("other")
    cohort = network.cohort("physics")
    network.bound(one, 4, **limits)
    network.bound(other, 4, lend=3)
    for project in (one, other):
        network.set("project", project, parent=cohort)
    network.work(one, 20)
    assert network.held(one) == held
    network.work(other, 1)
    assert network.held(other) == 1, "what it does not lend is always there for it"


def test_a_lender_takes_back_by_going_first_when_what_it_lent_is_given_back() -> None:
    network = Shared(8)
    lender, borrower = network.project("lender"), network.project("borrower")
    cohort = network.cohort("physics")
    for project in (lender, borrower):
        network.bound(project, 4)
        network.set("project", project, parent=cohort)
    network.work(borrower, 24, seconds=60)
    network.pass_s(10)
    mine = network.work(lender, 4, seconds=60)
    network.pass_s(80)
    placed = [x for x in leases_of(network) if x.job == mine]
    assert len(placed) == 4
    later = [
        x
        for x in leases_of(network)
        if x.project == borrower and x.placed_at > placed[0].placed_at - 1
    ]
    assert len(later) == 4


def test_who_is_below_its_floor_goes_before_who_used_less() -> None:
    network = Shared(4)
    small, large = network.project("small"), network.project("large")
    network.work(small, 8, seconds=100)
    network.pass_s(110)
    network.work(large, 12, seconds=100)
    mine = network.work(small, 4, seconds=100)
    assert network.set("project", small, floor_ppm=250_000) is None
    network.pass_s(110)
    placed = [x for x in leases_of(network) if x.job == mine]
    assert len(placed) == 1, "a quarter of four cores, and no more"


def test_a_cohort_counts_as_one_beside_a_project() -> None:
    network = Shared(4)
    before, alone = network.project("before"), network.project("alone")
    cohort = network.cohort("many")
    members = [network.project(f"member {n}") for n in range(3)]
    for member in members:
        network.set("project", member, parent=cohort)
    network.work(before, 4, seconds=20)
    for project in (alone, *members):
        network.work(project, 4)
    network.pass_s(30)
    assert network.held(alone) == 2
    assert sum(network.held(member) for member in members) == 2


def test_by_dominant_shares_who_wants_much_memory_gets_as_much_as_who_wants_cores() -> None:
    network = Shared(9, Policy(share_by="dominant"))
    before = network.project("before")
    memory, cores = network.project("memory"), network.project("cores")
    network.work(before, 9, seconds=20)
    network.work(memory, 30, resources=Resources(cpus_milli=100, memory_bytes=7 * GIB))
    network.work(cores, 30, resources=Resources(cpus_milli=1000, memory_bytes=GIB))
    network.pass_s(30)
    held = [network.held(project) for project in (memory, cores)]
    shares = [network.share(project).share_ppm for project in (memory, cores)]
    assert held == [0, 8]
    assert shares == [875_000, 888_888], "8 × 7 of 64 GiB, and 8 of 9 cores"


def test_of_one_projects_jobs_the_higher_priority_goes_first_and_nobody_elses_waits_for_it() -> (
    None
):
    network = Shared(1)
    boss, other = network.project("boss"), network.project("other")
    network.work(boss, 1, seconds=20)
    network.pass_s(1)
    low, high = network.work(boss, 1, seconds=20), network.work(boss, 1, seconds=20, priority=9)
    first = network.work(other, 1, seconds=10)
    network.pass_s(25)
    assert job_of(network, first).state == JobState.RUNNING
    network.pass_s(12)
    assert [job_of(network, j).state for j in (low, high)] == [JobState.QUEUED, JobState.RUNNING]


@pytest.mark.parametrize(
    ("order", "first"), [("fifo", 0), ("shortest-first", 1), ("deadline-first", 2)]
)
def test_a_projects_jobs_go_in_the_order_of_the_policy(order: str, first: int) -> None:
    network = Shared(1, Policy(order=order))
    lab = network.project("lab")
    network.work(lab, 1, seconds=20)
    network.pass_s(1)
    due = network.now + 3_600_000 if order == "deadline-first" else 0
    jobs = [
        network.work(lab, 1, seconds=300),
        network.work(lab, 1, seconds=50),
        network.work(lab, 1, seconds=400, deadline_at=due),
    ]
    network.pass_s(25)
    running = [at for at, j in enumerate(jobs) if job_of(network, j).state == JobState.RUNNING]
    assert running == [first]


def test_what_cannot_be_is_refused_with_its_reason() -> None:
    network = Shared(4)
    lab = network.project("lab")
    outer = network.cohort("outer", floor_ppm=600_000)
    inner = network.cohort("inner", parent=outer)
    codes = [
        network.set("project", lab, parent=99),
        network.set("cohort", outer, parent=inner),
        network.set("project", lab, floor_ppm=500_000),
        network.set("project", 99, weight=2),
        network.ask(
            "cohort", 0, {"name": "inner", "parent": 0, "weight": 1, "floor_ppm": 0}
        ).refusal,
    ]
    assert [refusal.code for refusal in codes if refusal] == [
        "cohort_unknown",
        "cohort_inside_itself",
        "floors_over_whole",
        "project_unknown",
        "name_taken",
    ]
    network.set("project", lab, parent=outer)
    assert network.set("project", lab, floor_ppm=500_000) is None, "inside the cohort's own floor"


def test_a_network_with_a_tree_is_replayed_and_rebuilt_to_the_same_decisions() -> None:
    network = Shared(8, Policy(ageing_s=30, share_by="use"))
    one, other, third = (network.project(name) for name in ("one", "other", "third"))
    cohort = network.cohort("physics", floor_ppm=100_000)
    network.bound(one, 2)
    network.bound(other, 4)
    for project in (one, other):
        network.set("project", project, parent=cohort)
    for project, seconds in ((one, 40), (third, 90), (other, 70), (third, 30), (one, 20)):
        network.work(project, 5, seconds=seconds, priority=seconds % 7)
        network.pass_s(33)
        decides_alike_afresh(network.world, network.policy, network.now)
    network.pass_s(900)
    assert replay(network.recording).differing == ()
