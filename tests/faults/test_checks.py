"""The judge of the fault harness finds what it is there to find."""

from pathlib import Path

from intertie.wire.jobs import AttemptView, JobView, Receipt, ReceiptLine, TaskView
from intertie.wire.money import AccountView, PostingView, TransactionView
from tests.faults.checks import (
    Seen,
    check_books,
    check_jobs,
    check_overlap,
    check_results,
    check_usage,
    read_trace,
)
from tests.faults.plan import Ask, Plan
from tests.faults.users import Record

AT = 1_700_000_000_000
PLAN = Plan(1, "sqlite", ("agent-1",), ("door-1",), ("decider-1",), (), (), ())
ASK = Ask("one", project=0, pause_s=0, tasks=1, steps=1)


def attempt(token: int, cause: str = "exited", exit_code: int | None = 0) -> AttemptView:
    return AttemptView(
        lease=f"lease-000{token}",
        token=token,
        provider="lab",
        pool="agent-1",
        node="n",
        state="settled",
        cause=cause,
        exit_code=exit_code,
        placed_at=AT,
    )


def seen(**known: object) -> Seen:
    job = JobView(
        id="job-0001",
        name="one",
        project="alpha",
        kind="batch",
        state="settled",
        outcome="done",
        submitted_at=AT,
        task_count=1,
    )
    task = TaskView(index=0, state="ended", outcome="done", resumes=0, attempts=[attempt(1)])
    told = {
        "jobs": [job],
        "tasks": {"job-0001": [task]},
        "receipts": {},
        "accounts": [],
        "transactions": [],
        "results": {"job-0001": {0: ["job-0001 0 1"]}},
    }
    return Seen(**(told | known))  # type: ignore[arg-type]


def record(*acks: str) -> Record:
    return Record(ASK, job=min(acks, default=""), acks=set(acks))


def charge(index: int, amount: int = 5) -> TransactionView:
    posting = PostingView(source="escrow", destination="earned", amount_micro=amount)
    return TransactionView(
        id=f"t-{index}",
        kind="charge",
        at=AT,
        postings=[posting],
        job="job-0001",
        lease="lease-0001",
        token=1,
        slice_index=0,
    )


def test_a_clean_job_is_clean() -> None:
    assert list(check_jobs(PLAN, [record("job-0001")], seen())) == []
    assert list(check_results(seen())) == []


def test_a_job_that_is_lost_doubled_or_failed_without_a_reason_is_found() -> None:
    assert "told was ['job-0002']" in " ".join(check_jobs(PLAN, [record("job-0002")], seen()))
    assert list(check_jobs(PLAN, [record()], seen(jobs=seen().jobs)))
    twice = [*seen().jobs, seen().jobs[0].model_copy(update={"id": "job-0002"})]
    tasks = seen().tasks | {"job-0002": seen().tasks["job-0001"]}
    assert list(check_jobs(PLAN, [record("job-0001")], seen(jobs=twice, tasks=tasks)))
    failed = [seen().jobs[0].model_copy(update={"outcome": "failed"})]
    assert list(check_jobs(PLAN, [record("job-0001")], seen(jobs=failed)))


def test_a_result_of_an_attempt_that_did_not_end_well_is_found() -> None:
    wrong = {"job-0001": {0: ["job-0001 0 2"]}}
    assert list(check_results(seen(results=wrong)))
    assert list(check_results(seen(results={"job-0001": {}})))


def test_attempts_that_ran_together_or_were_started_twice_are_found(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("j 0 1 start 1.00\nj 0 1 beat 3.00\nj 0 2 start 3.50\nj 0 2 end 4.00\n")
    assert list(check_overlap(read_trace(trace))) == []
    trace.write_text("j 0 1 start 1.00\nj 0 2 start 2.50\nj 0 1 beat 3.00\nj 0 2 end 4.00\n")
    assert list(check_overlap(read_trace(trace))) == [
        "j task 0: attempts 1 and 2 ran together 0.50 s"
    ]
    trace.write_text("j 0 1 start 1.00\nj 0 1 start 1.10\n")
    assert list(check_overlap(read_trace(trace))) == ["j task 0 attempt 1 was started 2 times"]


def test_a_slice_that_is_charged_twice_and_a_hold_that_is_kept_are_found() -> None:
    account = AccountView(id="escrow", kind="escrow", owner="alpha", balance_micro=-10)
    found = " ".join(check_books(seen(transactions=[charge(1), charge(2)], accounts=[account])))
    assert "was charged twice" in found
    assert "still holds -10" in found
    assert "neither charged nor released" in found


def test_time_that_is_paid_and_was_not_run_is_found(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("job-0001 0 1 start 1.00\njob-0001 0 1 end 3.00\n")
    line = ReceiptLine(
        task=0,
        lease="lease-0001",
        provider="lab",
        pool="agent-1",
        outcome="done",
        cause="exited",
        agent_s=9,
        network_s=9,
        paid_s=9,
        difference_percent=0,
        is_disputed=False,
        cpus_asked=1,
        cpu_s_used=0,
        memory_asked_bytes=0,
        memory_peak_bytes=0,
        price_micro_per_unit_h=1,
        units=1,
        service_units=0,
        amount_micro=9,
        fee_micro=0,
    )
    receipt = Receipt(
        job="job-0001",
        name="one",
        project="alpha",
        state="settled",
        outcome="done",
        lines=[line],
        by_provider=[],
        paid_micro=9,
        fee_micro=0,
        held_micro=0,
        released_micro=0,
        device_h=0,
        service_units=0,
        profile="cpu@1",
        tasks_total=1,
        tasks_resumed=0,
        meters_difference_percent_max=0,
        sum_micro=0,
    )
    found = list(check_usage(PLAN, seen(receipts={"job-0001": receipt}), read_trace(trace)))
    assert found == ["job-0001 lease-0001: paid 9.00 s, ran 2.00 s"]
