"""A past is lived through again by the river, under the policy that stands or another one."""

from dataclasses import replace
from typing import Any

from intertie.model.policy import Policy
from intertie.model.units import GIB
from intertie.simulator.past import Past, PastJob, PastPool
from intertie.simulator.whatif import as_it_was, what_if
from tests.builders import a_node, a_request, some_facts, some_terms

BEGAN = 1_700_000_000_000


def a_job(number: int, at_s: int, work_s: int, cores: int, **known: Any) -> PastJob:
    resources = replace(a_request().resources, cpus_milli=cores * 1000, memory_bytes=GIB)
    request = a_request(
        resources=resources, time_limit_s=work_s + 60, expected_s=work_s, budget_micro=0
    )
    return PastJob(number, 1, request, BEGAN + at_s * 1000, (work_s * 1000,), **known)


def a_past(*jobs: PastJob, **known: Any) -> Past:
    pool = PastPool(7, 3, some_facts(nodes=(a_node(),), terms=some_terms()), BEGAN)
    usual: dict[str, Any] = {
        "since": BEGAN,
        "until": BEGAN + 10**9,
        "weights": {1: 1},
        "pools": (pool,),
        "jobs": jobs,
    }
    return Past(**(usual | known))


# A long narrow job runs; a wide one waits for it; narrow ones keep coming behind it.
STARVED = (
    a_job(1, 0, 600, 1),
    a_job(2, 10, 100, 2),
    *(a_job(3 + at, 20 + at, 2_000, 1) for at in range(3)),
)


def test_what_happened_is_measured_by_the_same_definitions() -> None:
    ran = a_job(1, 0, 60, 1, started_at=BEGAN + 30_000, ended_at=BEGAN + 90_000)
    never = a_job(2, 0, 60, 1)
    found = as_it_was(a_past(ran, never)).measures
    assert (found["jobs"], found["unfinished"]) == (1, 1)
    assert (found["wait_mean_s"], found["jct_mean_s"]) == (30, 90)
    assert found["ave_bsld"] == 1.5


def test_tasks_run_as_long_as_they_ran_and_wait_as_the_river_lets_them() -> None:
    found = what_if(a_past(a_job(1, 0, 60, 2), a_job(2, 0, 60, 2)), Policy())
    run_s = (found.jobs["end_ms"] - found.jobs["start_ms"]) // 1000
    assert run_s.tolist() == [60, 60]
    assert found.measures["jobs"] == 2
    waited_s = (found.jobs["start_ms"] - found.jobs["submit_ms"]) // 1000
    assert waited_s.tolist() == [0, 60]


def test_another_policy_changes_who_waits() -> None:
    anybody = what_if(a_past(*STARVED), Policy(backfill="first-fit"))
    easy = what_if(a_past(*STARVED), Policy(backfill="easy"))
    wide = 1
    waited = [
        int(each.jobs["start_ms"][wide] - each.jobs["submit_ms"][wide]) for each in (anybody, easy)
    ]
    assert waited[0] > waited[1]
    assert waited[1] <= 600_000


def test_the_same_past_gives_the_same_outcome_bit_by_bit() -> None:
    one, other = (what_if(a_past(*STARVED), Policy(backfill="easy")) for _ in range(2))
    assert one.measures == other.measures
    assert all(one.jobs[name].tolist() == other.jobs[name].tolist() for name in one.jobs)


def test_a_pool_that_came_late_takes_nothing_before_and_one_that_left_nothing_after() -> None:
    late = PastPool(7, 3, some_facts(), BEGAN + 500_000)
    found = what_if(a_past(a_job(1, 0, 60, 1), pools=(late,)), Policy())
    assert found.measures["refused"] == 1  # nobody could have run it when it was asked for
    gone = PastPool(7, 3, some_facts(), BEGAN, BEGAN + 5_000)
    found = what_if(a_past(a_job(1, 10, 60, 1), pools=(gone,)), Policy())
    assert found.measures["jobs"] == 0


def test_progress_is_told_up_to_all_of_the_jobs() -> None:
    told: list[tuple[int, int]] = []
    what_if(a_past(*STARVED), Policy(), lambda done, total: told.append((done, total)))
    assert told[-1] == (5, 5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
