"""Why, when and what instead: what a job that waits is told, held against what then happens."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intertie.catalogue.texts import text
from intertie.cycle import forecasting, placing
from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.cycle.scoring import widened
from intertie.model.forecast import Missed, Queue, Start
from intertie.model.ids import encode
from intertie.model.job import Blocked
from intertie.model.policy import Policy
from intertie.model.request import Resources
from intertie.model.states import JobState
from intertie.model.units import GIB
from intertie.simulator.recording import replay
from tests.builders import ANetwork, a_node, job_of, leases_of, some_terms
from tests.property.derived import afresh

NOBODY = Policy(busy_poll_ms=4_000)


def a_site(cores: int = 4, policy: Policy | None = None) -> tuple[ANetwork, int]:
    """One machine and one project."""
    network = ANetwork(policy)
    add_site(network, "lab", cores)
    return network, network.project("p", 1000)


def add_site(network: ANetwork, name: str, cores: int, **known: Any) -> int:
    node = a_node(cpus_milli=cores * 1000, memory_bytes=64 * GIB)
    terms = some_terms(lent_cpus_milli=cores * 1000, lent_memory_bytes=64 * GIB)
    return network.pool(name, nodes=(node,), terms=terms, **known)


def of(cores: int, seconds: int, **known: Any) -> dict[str, Any]:
    """A job that says how long it takes, and takes it."""
    resources = Resources(cpus_milli=1000 * cores)
    usual = {"resources": resources, "expected_s": seconds, "time_limit_s": 2 * seconds}
    return usual | {"budget_micro": 10**9} | known


def why(network: ANetwork, project: int, job: int) -> Blocked:
    found = network.ask("why", project, {"job": job}).document
    assert isinstance(found, Blocked)
    return found


def queue(network: ANetwork, project: int = 0) -> Queue:
    found = network.ask("queue", project, {}).document
    assert isinstance(found, Queue)
    return found


def started_at(network: ANetwork) -> dict[int, int]:
    """When each job was given its first place."""
    found: dict[int, int] = {}
    for lease in leases_of(network):
        found[lease.job] = min(found.get(lease.job, lease.placed_at), lease.placed_at)
    return found


def scored(network: ANetwork) -> list[dict[str, Any]]:
    events = [event for changes in network.changes for event in changes.events]
    return [event.values for event in events if event.code == "start_scored"]


def test_who_waits_although_there_is_room_is_told_for_whom_and_until_when_it_is_kept() -> None:
    network, project = a_site()
    network.job(project, **of(2, 100))
    network.pass_s(1)
    head, long = network.job(project, **of(4, 50)), network.job(project, **of(2, 300))
    refusal = why(network, project, long).nearest
    assert refusal is not None
    assert refusal.code == "kept_for"
    until_s = (int(refusal.values["until_at"]) - network.now) / 1000
    assert 97 <= until_s <= 100
    assert refusal.values["job"] == encode("job", head)


def test_of_another_projects_job_for_which_room_is_kept_only_the_instant_is_told() -> None:
    network, project = a_site()
    network.job(project, **of(2, 100))
    network.pass_s(1)
    network.job(network.project("q", 1000), **of(4, 50))
    refusal = why(network, project, network.job(project, **of(2, 300))).nearest
    assert refusal is not None
    assert (refusal.code, refusal.values["job"]) == ("kept_for", "")
    assert "first." in text("en", "refusal.kept_for", **refusal.values)


def test_a_shorter_task_starts_now_in_the_room_that_is_kept_for_later() -> None:
    network, project = a_site()
    network.job(project, **of(2, 100))
    network.pass_s(1)
    network.job(project, **of(4, 50))
    long = network.job(project, **of(2, 300))
    found = why(network, project, long).sooner
    assert found is not None
    assert found.relaxation.code == "shorter_task"
    assert found.starts_at == network.now
    assert found.gained_s > 100
    to_s = int(found.relaxation.values["to_s"])
    taken_at_its_word = network.job(project, **of(2, to_s))
    network.pass_s(1)
    assert job_of(network, taken_at_its_word).state == JobState.RUNNING


def test_less_of_what_lacks_is_offered_with_what_it_gains_and_gains_that() -> None:
    network, project = a_site(8)
    network.job(project, **of(2, 2400))
    network.pass_s(1)
    large = network.job(project, **of(8, 600))
    blocked = why(network, project, large)
    assert blocked.sooner is not None
    assert blocked.sooner.relaxation.code == "fewer_cpus"
    assert blocked.sooner.relaxation.values == {"to_milli": 6000}
    assert blocked.sooner.starts_at == network.now
    assert blocked.expected is not None
    gained_at = blocked.expected.likely_at - network.now
    assert blocked.sooner.gained_s == gained_at // 1000
    smaller = network.job(project, **of(6, 600))
    network.cancel(project, large)
    network.pass_s(1)
    assert job_of(network, smaller).state == JobState.RUNNING


def test_where_it_may_not_go_is_offered_if_it_would_start_there() -> None:
    network, project = a_site(4)
    add_site(network, "far", 4, region="us-west", country="US")
    network.job(project, **of(4, 900, residency=("CN",)))
    network.pass_s(1)
    waiting = network.job(project, **of(4, 900, residency=("CN",)))
    found = why(network, project, waiting).sooner
    assert found is not None
    assert (found.relaxation.code, found.starts_at) == ("fewer_cpus", network.now) or (
        found.relaxation.values == {"region": "us-west"}
    )
    assert found.starts_at == network.now
    assert found.gained_s > 800


def test_whoever_cannot_pay_is_told_what_would_be_enough() -> None:
    network = ANetwork()
    add_site(network, "lab", 4)
    poor = network.create("project", "poor", 250_000)
    job = network.job(poor, **of(1, 600, budget_micro=0, task_count=3))
    blocked = why(network, poor, job)
    assert blocked.nearest is not None
    assert blocked.nearest.code == "over_wallet"
    assert blocked.sooner is not None
    change = blocked.sooner.relaxation
    assert (change.code, blocked.sooner.starts_at) == ("top_up", network.now)
    body = {"project": poor, "amount_micro": change.values["missing_micro"]}
    network.ask("top_up", 0, body)
    assert network.world.jobs.value(job, "queued") == 0


def test_users_see_their_own_jobs_and_only_the_places_of_others() -> None:
    network, mine = a_site()
    other = network.project("other", 1000)
    network.job(mine, **of(4, 100))
    network.pass_s(1)
    own, theirs = network.job(mine, **of(4, 50)), network.job(other, **of(4, 50))
    seen = queue(network, mine)
    assert {each.job for each in seen.waiting} == {own, 0}
    assert [each.position for each in seen.waiting] == [1, 2]
    assert all(each.start.likely_at for each in seen.waiting)
    [hidden] = [each for each in seen.waiting if not each.job]
    assert (hidden.project, hidden.tasks, hidden.nearest, hidden.sooner) == (0, 0, None, None)
    assert {share.project for share in seen.shares} == {mine, 0}
    everything = queue(network)
    assert {each.job for each in everything.waiting} == {own, theirs}
    assert {share.project for share in everything.shares} == {mine, other}
    # Who has used nothing is served first.
    assert everything.waiting[0].job == theirs


def test_what_was_shown_is_scored_when_the_job_starts() -> None:
    network, project = a_site()
    network.job(project, **of(4, 100))
    network.pass_s(1)
    job = network.job(project, **of(4, 50))
    shown = why(network, project, job).expected
    network.pass_s(10)
    why(network, project, job)  # too soon after the first to be another statement
    network.pass_s(200)
    [score] = scored(network)
    assert (score["shown"], score["within"], score["early"], score["late"]) == (1, 1, 0, 0)
    assert shown is not None
    assert (score["low_at"], score["high_at"]) == (shown.low_at, shown.high_at)
    assert replay(network.recording).differing == ()


def test_a_start_that_comes_after_its_range_is_scored_as_late() -> None:
    network, project = a_site()
    network.job(project, **of(4, 100))
    network.pass_s(1)
    why(network, project, network.job(project, **of(4, 50)))
    # Somebody comes whom nobody could foresee, and has used less.
    network.job(network.project("q", 1000), **of(4, 300))
    network.pass_s(500)
    [score] = scored(network)
    assert (score["within"], score["late"]) == (0, 1)


def test_a_forecast_that_ends_too_soon_says_how_far_it_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecasting, "_STEPS_MAX", 1)
    monkeypatch.setattr(forecasting, "_STEPS_MIN", 1)
    network, project = a_site()
    jobs = [network.job(project, **of(4, 100)) for _ in range(4)]
    network.pass_s(1)
    last = why(network, project, jobs[-1]).expected
    assert last is not None
    assert (last.likely_at, last.is_cut) == (0, 1)
    assert last.seen_until > network.now
    assert why(network, project, jobs[1]).expected != Start()


def test_a_world_without_memo_tells_the_same() -> None:
    network, project = a_site()
    network.job(project, **of(2, 100))
    network.pass_s(1)
    jobs = [network.job(project, **of(*each)) for each in ((4, 50), (2, 300), (3, 40))]
    rows = [InboxRow(1000 + j, "why", project, network.now, {"job": j}) for j in jobs]
    rows.append(InboxRow(2000, "queue", project, network.now, {}))
    fresh = afresh(network.world)
    known = flow(network.world, rows, network.policy, network.now)
    again = flow(fresh, rows, network.policy, network.now)
    assert known.digest() == again.digest()


shapes = st.tuples(st.sampled_from((1, 2, 3, 4)), st.sampled_from((20, 40, 70, 130)))


@settings(max_examples=15)
@given(
    first=st.lists(shapes, min_size=1, max_size=4),
    then=st.lists(st.tuples(shapes, st.integers(0, 1)), min_size=1, max_size=6),
    part=st.sampled_from((100, 75, 50)),
)
def test_where_lengths_are_true_and_nobody_comes_later_each_start_is_in_its_range(
    first: list[tuple[int, int]], then: list[tuple[tuple[int, int], int]], part: int
) -> None:
    network, one = a_site(policy=NOBODY)
    projects = (one, network.project("q", 1000, weight=2))

    def job(project: int, cores: int, seconds: int) -> int:
        work = (("WORK_MS", str(seconds * 10 * part)),)
        return network.job(project, **of(cores, seconds, environment=work))

    for cores, seconds in first:
        job(one, cores, seconds)
    network.pass_s(1)
    for (cores, seconds), whose in then:
        job(projects[whose], cores, seconds)
    told = {each.job: each.start for each in queue(network).waiting}
    network.pass_s(2_000)
    starts = started_at(network)
    for number, start in told.items():
        assert start.low_at <= starts[number] <= start.high_at, (number, start, starts[number])
    assert sum(each["within"] for each in scored(network)) == len(told)


def test_a_range_grows_as_wide_as_starts_of_the_same_project_have_missed() -> None:
    start = Start(1_000_000, 1_100_000, 1_200_000, 1_200_000)
    assert widened(start, None, 1_000_000) == start
    assert widened(start, Missed((3_000_000,) * 8), 1_000_000) == start
    late = widened(start, Missed((1_000_000,) * 18 + (3_000_000,)), 1_000_000)
    assert late.high_at == 1_000_000 + 3 * 160_000 - 60_000
    assert (late.low_at, late.likely_at) == (start.low_at, start.likely_at)
    early = widened(replace(start, low_at=1_090_000), Missed((500_000,) * 19), 1_000_000)
    assert (early.low_at, early.high_at) == (1_020_000, start.high_at)


def test_how_starts_missed_is_remembered_by_project() -> None:
    network, project = a_site()
    network.job(project, **of(4, 100))
    network.pass_s(1)
    why(network, project, network.job(project, **of(4, 50)))
    network.pass_s(200)
    [ratio] = network.world.documents["missed", project].ratios_ppm
    assert 900_000 < ratio < 1_100_000
    assert replay(network.recording).differing == ()


def test_what_the_history_says_of_such_tasks_makes_the_range() -> None:
    network, project = a_site()
    quick = (("WORK_MS", "10000"),)
    for _ in range(4):
        network.job(project, **of(4, 100, name="usual", environment=quick))
    network.pass_s(120)
    network.job(project, **of(4, 100, name="usual", environment=quick))
    network.job(project, **of(4, 100, name="else", environment=quick))
    [told] = [each.start for each in queue(network).waiting]
    # By the stated length alone it would be fifty seconds at the least.
    assert told.low_at - network.now < 45_000
    assert told.likely_at - network.now >= 95_000
    network.pass_s(60)
    assert replay(network.recording).differing == ()


def test_every_fill_of_a_round_and_of_a_forecast_is_given_arrays_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For others numba would compile all kernels again, and the round wait for half a minute."""
    strided: set[str] = set()
    kernel = placing.fill

    def watched(*given: Any) -> Any:
        strided.update(name for name, each in arrays_in(given) if not each.flags.c_contiguous)
        return kernel(*given)

    monkeypatch.setattr(placing, "fill", watched)
    network, project = a_site()
    add_site(network, "far", 2)
    network.job(project, **of(2, 100))
    network.pass_s(1)
    for cores, seconds in ((4, 50), (2, 300), (3, 40), (1, 70)):
        network.job(project, **of(cores, seconds))
    network.job(project, **of(4, 50, deadline_at=network.now + 10_000_000))
    assert queue(network).waiting
    network.pass_s(200)
    assert strided == set()


def arrays_in(given: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every array in bundles of bundles, with the name of its field."""
    if isinstance(given, np.ndarray):
        yield name, given
    elif isinstance(given, tuple):
        names = getattr(given, "_fields", map(str, range(len(given))))
        for inner, each in zip(names, given, strict=True):
            yield from arrays_in(each, f"{name}.{inner}")
