"""Deadlines: a yes or a no at submission, and a yes that is kept."""

import pytest

from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.states import JobState, Outcome
from tests.builders import ANetwork, a_request, job_of
from tests.support.streams import a_stream
from tests.unit.test_explaining import a_site, of


def submit(
    network: ANetwork, project: int, cores: int, seconds: int, within_s: int, tasks: int = 1
) -> int | Refusal:
    known = of(cores, seconds, task_count=tasks)
    at = network.now + within_s * 1000
    return network.submit(project, a_request(**known, deadline_at=at))


def ended_at(network: ANetwork, job: int) -> int:
    rows = [c.rows["Job", job] for c in network.changes if ("Job", job) in c.rows]
    return int(rows[-1].ended_at)


def test_a_deadline_that_can_be_kept_is_promised_with_the_expected_end() -> None:
    network, project = a_site()
    job = submit(network, project, 4, 100, within_s=250)
    assert isinstance(job, int)
    [told] = [
        event.values
        for changes in network.changes
        for event in changes.events
        if event.code == "deadline_promised"
    ]
    assert network.now < told["finish_at"] <= told["deadline_at"]
    network.pass_s(250)
    assert job_of(network, job).outcome == Outcome.DONE
    assert ended_at(network, job) <= told["deadline_at"]


def test_a_deadline_that_cannot_is_refused_with_the_first_that_can() -> None:
    network, project = a_site()
    network.job(project, **of(4, 400))
    network.pass_s(1)
    refusal = submit(network, project, 4, 100, within_s=500)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "deadline_too_soon"
    assert refusal.relaxation is not None
    assert refusal.relaxation.code == "later_deadline"
    within_ms = int(refusal.relaxation.values["to_at"]) - network.now
    assert isinstance(submit(network, project, 4, 100, within_s=within_ms // 1000), int)


def test_of_an_array_fewer_tasks_may_be_the_smaller_change() -> None:
    network, project = a_site()
    refusal = submit(network, project, 4, 100, within_s=500, tasks=4)
    assert isinstance(refusal, Refusal)
    assert refusal.relaxation is not None
    assert refusal.relaxation.code == "fewer_tasks"
    tasks = int(refusal.relaxation.values["to"])
    assert isinstance(submit(network, project, 4, 100, within_s=500, tasks=tasks), int)


def test_who_comes_later_and_has_used_less_does_not_break_a_promise() -> None:
    network, project = a_site()
    network.job(project, **of(4, 100))
    network.pass_s(1)
    promised = submit(network, project, 4, 100, within_s=450)
    assert isinstance(promised, int)
    other = network.project("q", 1000)
    network.job(other, **of(4, 200))
    network.job(other, **of(2, 300))
    network.pass_s(450)
    assert job_of(network, promised).outcome == Outcome.DONE


def test_who_asks_later_for_an_earlier_deadline_stands_behind_an_earlier_promise() -> None:
    network, project = a_site()
    other = network.project("q", 1000)
    network.job(project, **of(4, 100))
    network.pass_s(1)
    promised = submit(network, project, 4, 100, within_s=450)
    assert isinstance(promised, int)
    # It has used nothing, so that without the promise it would be served first.
    refusal = submit(network, other, 4, 100, within_s=440)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "deadline_too_soon"
    network.pass_s(450)
    assert job_of(network, promised).outcome == Outcome.DONE


def test_a_deadline_buys_nobody_a_place_before_who_has_used_less() -> None:
    network, heavy = a_site()
    light = network.project("light", 1000)
    network.job(heavy, **of(4, 100))
    network.pass_s(1)
    first = network.job(light, **of(4, 200))
    refusal = submit(network, heavy, 4, 100, within_s=450)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "deadline_too_soon"
    network.pass_s(110)
    assert job_of(network, first).state == JobState.RUNNING


def test_a_job_that_waits_for_others_is_taken_without_a_promise() -> None:
    network, project = a_site()
    before = network.job(project, **of(1, 100))
    at = network.now + 600_000
    held = network.job(project, **of(1, 100, after=(before,), deadline_at=at))
    codes = [event.code for changes in network.changes for event in changes.events]
    assert "deadline_not_promised" in codes
    assert network.world.jobs.value(held, "deadline_at") == 0


@pytest.mark.parametrize("promise_by", ["long", "likely"])
def test_of_a_hundred_promises_ninety_nine_are_kept_where_lengths_are_true(promise_by: str) -> None:
    policy = Policy(busy_poll_ms=5_000, promise_by=promise_by)
    told = a_stream(5, 60, 100, "true", policy)
    assert len(told.due) > 15
    assert told.refused
    assert set(told.refused) <= {"deadline_too_soon", "deadline_of_others"}
    assert told.late() <= len(told.due) // 100
    assert told.starts()
