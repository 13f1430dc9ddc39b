"""What is believed of an attempt: a table of what the shim wrote against what the site says."""

from typing import Any

import pytest

from intertie.engines.slurm.judging import (
    FORGOTTEN_S,
    HOLD_S,
    QUIET_KILLED_S,
    QUIET_S,
    SETTLE_S,
    Verdict,
    View,
    judge,
)
from intertie.engines.slurm.parsing import Job


def a_job(state: str, **known: Any) -> Job:
    plain = {"start_s": 100, "end_s": 0, "node": "n1", "name": "intertie-1", "reason": "None"}
    return Job(1, 0, state, **(plain | known))


def a_status(state: str = "running", **known: Any) -> dict[str, Any]:
    meters = {"started_at": 5, "ran_ms": 700, "cpu_ms": 30, "memory_peak_bytes": 1}
    end = {"cause": "none", "exit_code": None, "signal": None, "detail": "", "node": "n1"}
    return {"state": state} | meters | end | known


def judged(status: dict[str, Any] | None, job: Job | None, **known: Any) -> Verdict:
    return judge("lease-1", 1, View(status, job=job, **({"is_submitted": True} | known)))


def told(status: dict[str, Any] | None, job: Job | None, **known: Any) -> tuple[str, str, str]:
    verdict = judged(status, job, **known)
    return verdict.seen.state, verdict.seen.cause, verdict.act


PENDING = a_job("PENDING", reason="Resources")
LAUNCH_FAILED = a_job("PENDING", reason="launch_failed_requeued_held")
RUNNING = a_job("RUNNING")
DONE = a_job("COMPLETED", end_s=103, elapsed_s=3)
DEAD = a_job("NODE_FAIL", end_s=103)


def test_what_waits_at_the_site_shows_its_expected_start_and_the_reason() -> None:
    seen = judged(None, PENDING).seen
    assert (seen.state, seen.expected_start_at, seen.detail) == ("pending", 100_000, "Resources")


@pytest.mark.parametrize(
    ("job", "known", "expected"),
    [
        (None, {"is_submitted": False, "away_s": 99.0}, ("pending", "none", "")),
        (None, {"away_s": 0.0}, ("pending", "none", "")),
        (None, {"away_s": FORGOTTEN_S}, ("pending", "none", "again")),
        (RUNNING, {}, ("pending", "none", "")),
        (DONE, {}, ("pending", "none", "")),
        (DONE, {"away_s": SETTLE_S}, ("pending", "start_failed", "withdraw")),
        (a_job("CANCELLED"), {"away_s": SETTLE_S}, ("pending", "reclaimed", "withdraw")),
        (DEAD, {"away_s": SETTLE_S}, ("pending", "lost", "withdraw")),
        (LAUNCH_FAILED, {}, ("pending", "start_failed", "withdraw")),
    ],
)
def test_an_attempt_that_no_shim_has_begun(
    job: Job | None, known: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert told(None, job, **known) == expected


@pytest.mark.parametrize(
    ("job", "known", "expected"),
    [
        (RUNNING, {"quiet_s": 999.0}, ("running", "none", "")),
        (a_job("COMPLETING"), {"quiet_s": 999.0}, ("running", "none", "")),
        (None, {"away_s": 0.0, "quiet_s": QUIET_S}, ("running", "none", "")),
        (None, {"away_s": SETTLE_S, "quiet_s": QUIET_KILLED_S}, ("running", "none", "")),
        (None, {"away_s": SETTLE_S, "quiet_s": QUIET_S}, ("over", "lost", "end")),
        (None, {"away_s": FORGOTTEN_S, "quiet_s": 0.5}, ("running", "none", "fence")),
        (PENDING, {"away_s": FORGOTTEN_S, "quiet_s": 0.5}, ("running", "none", "fence")),
        (PENDING, {"away_s": FORGOTTEN_S, "ordered": "lost"}, ("running", "none", "")),
        (DEAD, {"away_s": SETTLE_S, "quiet_s": QUIET_KILLED_S}, ("running", "none", "")),
        (DEAD, {"away_s": SETTLE_S, "quiet_s": QUIET_S}, ("over", "lost", "end")),
        (DONE, {"away_s": SETTLE_S, "quiet_s": QUIET_KILLED_S}, ("over", "lost", "end")),
    ],
)
def test_an_attempt_whose_shim_had_not_the_last_word(
    job: Job | None, known: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert told(a_status(), job, **known) == expected


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("PREEMPTED", "reclaimed"),
        ("CANCELLED", "reclaimed"),
        ("TIMEOUT", "timed_out"),
        ("DEADLINE", "timed_out"),
        ("OUT_OF_MEMORY", "out_of_memory"),
        ("NODE_FAIL", "lost"),
        ("BOOT_FAIL", "lost"),
        ("FAILED", "lost"),
        ("COMPLETED", "lost"),
    ],
)
def test_the_site_says_why_a_shim_fell_silent_or_was_signalled(state: str, cause: str) -> None:
    silent = {"away_s": SETTLE_S, "quiet_s": QUIET_S}
    signalled = a_status("over", cause="lost", signal=15)
    assert told(a_status(), a_job(state), **silent) == ("over", cause, "end")
    assert told(signalled, a_job(state)) == ("over", cause, "end")
    assert told(signalled, a_job(state), ordered="no_funds") == ("over", "no_funds", "end")


@pytest.mark.parametrize("job", [RUNNING, None])
def test_a_good_end_is_told_at_once_and_its_last_word_waits_for_the_sites_meter(
    job: Job | None,
) -> None:
    over = a_status("over", cause="exited", exit_code=0)
    early = judged(over, job, over_s=HOLD_S - 1)
    assert (early.seen.state, early.seen.is_final, early.act) == ("over", False, "")
    late = judged(over, job, over_s=HOLD_S)
    assert (late.seen.state, late.seen.is_final, late.seen.site_ms) == ("over", True, 0)
    assert late.act == "end"


def test_an_end_of_which_the_site_may_know_the_cause_waits_for_it_but_not_for_long() -> None:
    for known in ({"cause": "exited", "exit_code": 1}, {"cause": "signalled", "signal": 9}):
        over = a_status("over", **known)
        held = judged(over, RUNNING, over_s=HOLD_S - 1)
        assert (held.seen.state, held.seen.exit_code, held.act) == ("running", None, "")
        assert told(over, RUNNING, over_s=HOLD_S) == ("over", known["cause"], "end")
    at_once = judged(a_status("over", cause="exited", exit_code=1), DONE)
    assert (at_once.seen.cause, at_once.seen.site_ms) == ("exited", 3000)


def test_a_program_that_the_site_killed_for_want_of_memory_is_told_so() -> None:
    killed = a_status("over", cause="signalled", signal=9)
    assert told(killed, a_job("OUT_OF_MEMORY")) == ("over", "out_of_memory", "end")


def test_a_withdrawn_attempt_is_over_whatever_the_site_has() -> None:
    withdrawn = a_status("over", cause="cancelled", started_at=0, ran_ms=0)
    assert told(withdrawn, PENDING) == ("over", "cancelled", "end")


def test_a_second_execution_is_reported() -> None:
    seen = judged(a_status(), RUNNING, is_repeated=True).seen
    assert "a second time" in seen.detail
