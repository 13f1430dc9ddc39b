"""A real job goes down the whole river: HTTP, decider, agent, sandbox, meters, books."""

from pathlib import Path

import pytest

from intertie.client import IntertieError
from intertie.control.bootstrap import database_url, open_network
from intertie.simulator.recording import Recording, Round, replay
from intertie.store.loading import load_policy, load_world, recorded_rounds, transactions
from tests.support.live import River, wait_until

ECHO = {"name": "echo", "command": ["echo", "hello river"], "time_limit": "1m"}
LIGHT = {"memory": "64MiB", "disk": "100MiB"}


def test_one_task_goes_from_request_to_settlement_with_proved_books(river: River) -> None:
    quote = river.client.quote(ECHO)
    job = river.client.submit(ECHO, quote=quote)
    ended = river.client.wait(job)
    assert (ended.state, ended.outcome) == ("settled", "done")
    assert "".join(river.client.logs(job)) == "hello river\n"
    receipt = river.client.receipt(job)
    assert receipt.sum_micro == 0
    assert receipt.held_micro == 0
    assert 0 < receipt.paid_micro <= (receipt.quoted_micro or 0)
    assert receipt.by_provider[0].provider == "lab"
    check = river.client.ledger_check()
    assert check.ok, check.faults


def test_the_lower_of_two_meters_is_paid_and_both_are_shown(river: River) -> None:
    job = river.client.submit({**ECHO, "command": ["sleep", "1.2"]})
    river.client.wait(job)
    line = river.client.receipt(job).lines[0]
    assert line.agent_s >= 1.2
    assert line.network_s > 0
    assert line.paid_s == pytest.approx(min(line.agent_s, line.network_s), abs=0.002)
    assert not line.is_disputed


def test_an_array_brings_back_one_folder_of_results_for_each_task(
    river: River, tmp_path: Path
) -> None:
    spec = {
        "name": "squares",
        "script": 'echo $((N * N)) > out.txt; echo "task $INTERTIE_TASK_INDEX"',
        "array": {"grid": {"N": [2, 3, 4]}},
        "resources": LIGHT,
        "results": ["out.txt"],
        "time_limit": "1m",
    }
    job = river.client.submit(spec)
    assert river.client.wait(job).outcome == "done"
    found = river.client.results(job, tmp_path)
    assert sorted(path.read_text() for path in found) == ["16\n", "4\n", "9\n"]


def test_a_job_that_fails_says_so_and_is_paid_for_what_it_used(river: River) -> None:
    job = river.client.submit({**ECHO, "script": "echo oops >&2; exit 7", "command": []})
    ended = river.client.wait(job)
    assert ended.outcome == "failed"
    attempt = next(iter(river.client.tasks(job))).attempts[0]
    assert attempt.exit_code == 7
    assert "oops" in "".join(river.client.logs(job))


def test_a_cancelled_job_stops_and_its_hold_goes_back(river: River) -> None:
    job = river.client.submit({**ECHO, "command": ["sleep", "600"], "time_limit": "20m"})
    wait_until(lambda: river.client.job(job).state == "running", river.network)
    river.client.cancel(job)
    ended = river.client.wait(job)
    assert ended.outcome == "cancelled"
    assert ended.held_micro == 0


def test_a_time_limit_ends_the_task_with_that_cause(river: River) -> None:
    job = river.client.submit({**ECHO, "command": ["sleep", "60"], "time_limit": "1s"})
    assert river.client.wait(job).outcome == "failed"
    assert next(iter(river.client.tasks(job))).attempts[0].cause == "timed_out"


def test_a_job_waits_for_the_one_it_comes_after(river: River) -> None:
    first = river.client.submit({**ECHO, "command": ["sleep", "1"]})
    second = river.client.submit({**ECHO, "after": [first.id]})
    assert river.client.wait(second).outcome == "done"
    assert river.client.job(first).state == "settled"


def test_another_project_sees_nothing_of_the_job(river: River) -> None:
    job = river.client.submit(ECHO)
    river.client.wait(job)
    for look in (
        river.stranger.job,
        river.stranger.receipt,
        river.stranger.why,
        river.stranger.cancel,
        lambda each: list(river.stranger.logs(each)),
        lambda each: list(river.stranger.files(each)),
        lambda each: list(river.stranger.events(each)),
    ):
        with pytest.raises(IntertieError) as refused:
            look(job.id)
        assert refused.value.problem.status == 404


def test_results_and_logs_come_back_while_the_job_still_runs(river: River) -> None:
    script = "echo early > out.txt; echo begun; sleep 60; echo late >> out.txt"
    spec = {"name": "slow", "script": script, "results": ["out.txt"], "time_limit": "5m"}
    job = river.client.submit({**spec, "resources": LIGHT})
    wait_until(lambda: list(river.client.files(job)), river.network)
    assert river.client.job(job).state == "running"
    assert "".join(river.client.logs(job)) == "begun\n"
    river.client.cancel(job)
    assert river.client.wait(job).outcome == "cancelled"


def test_killing_the_agent_kills_no_job_and_pays_nothing_twice(river: River) -> None:
    job = river.client.submit({**ECHO, "script": "sleep 4; echo survived", "command": []})
    wait_until(lambda: river.client.job(job).state == "running", river.network)
    river.restart_agent()
    assert river.client.wait(job).outcome == "done"
    assert "".join(river.client.logs(job)) == "survived\n"
    task = next(iter(river.client.tasks(job)))
    assert len(task.attempts) == 1
    assert river.client.ledger_check().ok


def test_an_impossible_request_is_refused_with_the_smallest_change(river: River) -> None:
    before = len(list(river.client.jobs()))
    with pytest.raises(IntertieError) as refused:
        river.client.submit({**ECHO, "resources": {"cpus": 4000}})
    refusal = refused.value.problem.refusal
    assert refusal is not None
    assert refusal.code == "not_enough_cpus"
    assert refusal.relaxation is not None
    assert refusal.relaxation.code == "fewer_cpus"
    assert len(list(river.client.jobs())) == before
    told = next(iter(river.client.refusals()))
    assert told.refusal.code == "not_enough_cpus"
    assert [each.pool for each in told.pools] == ["lab/workstation"]


def test_the_live_run_replays_to_the_same_decisions_and_postings(river: River) -> None:
    """Last in the file: it replays all that the tests above made the live decider decide."""
    river.client.wait(river.client.submit(ECHO))
    engine = open_network(database_url(river.network.data))
    with engine.connect() as connection:
        policy = load_policy(connection)
        rounds = [Round(*row[:1], row[2], row[1]) for row in recorded_rounds(connection)]
        booked = transactions(connection)
    replayed = replay(Recording(policy, rounds))
    assert len(rounds) > 20
    assert replayed.differing == ()
    again = [t for changes in replayed.changes for t in changes.transactions]
    assert again[: len(booked)] == booked[: len(again)]
    assert len(again) <= len(booked)
    rebuilt = load_world(engine)
    assert set(rebuilt.jobs.slots) >= set(replayed.world.jobs.slots)
