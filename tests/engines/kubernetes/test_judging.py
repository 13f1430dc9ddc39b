"""What an attempt is, by its folder, its pod and its Job together."""

import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.kubernetes import folders
from intertie.engines.kubernetes.judging import FORGOTTEN_MS, TROUBLE_MS, Sight, judge, own_pod
from intertie.engines.kubernetes.parse import Box, instant_ms
from intertie.engines.protocol import Observed
from tests.engines.hosting import a_body
from tests.engines.kubernetes.test_parse import recorded

KNOWN = Observed("lease-1", 1, "pending")
BEGUN = Box(is_begun=True, pod="p", node="vm", begun_at=1000)
JOB = {"metadata": {"name": "job"}, "status": {}}
PLAIN = Sight(
    box=Box(),
    stopped="",
    is_created=True,
    job=JOB,
    pod=None,
    is_pod_gone=True,
    missing_ms=0,
    is_fenced=False,
    now_ms=0,
)


def pod_that_runs() -> Any:
    pod = deepcopy(recorded("pod-done"))
    pod["status"]["phase"] = "Running"
    state = pod["status"]["containerStatuses"][0]["state"]
    state["running"] = {"startedAt": state.pop("terminated")["startedAt"]}
    return pod


def sees(**known: Any) -> Any:
    verdict = judge(KNOWN, replace(PLAIN, **known))
    return verdict.seen.state, verdict.seen.cause, verdict.asks


def test_what_has_not_begun_waits_and_the_site_is_asked_why_it_has_no_pod() -> None:
    assert sees() == ("pending", "none", "warnings")
    assert sees(job=None, is_created=False) == ("pending", "none", "")


def test_what_has_not_begun_is_withdrawn_by_a_stop() -> None:
    assert sees(stopped="cancelled") == ("over", "cancelled", "withdraw")


def test_a_job_that_the_site_forgot_is_not_believed_at_once() -> None:
    assert sees(job=None) == ("pending", "none", "missing")
    assert sees(job=None, missing_ms=FORGOTTEN_MS) == ("over", "lost", "withdraw")


def test_a_job_that_the_site_gave_up_before_it_began_failed_to_start() -> None:
    told = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    failed = JOB | {"status": {"conditions": [told]}}
    assert sees(job=failed) == ("over", "start_failed", "withdraw")


def test_an_image_that_is_long_in_coming_is_given_up() -> None:
    pod = recorded("pod-image")
    made_at = instant_ms(pod["metadata"]["creationTimestamp"])
    known = {"pod": pod, "is_pod_gone": False}
    assert sees(**known, now_ms=made_at + 1000) == ("pending", "none", "")
    assert sees(**known, now_ms=made_at + TROUBLE_MS + 1) == ("over", "start_failed", "withdraw")


def test_a_container_that_ended_without_beginning_failed_to_start() -> None:
    assert sees(pod=recorded("pod-done"), is_pod_gone=False) == (
        "over",
        "start_failed",
        "withdraw",
    )


def test_what_has_begun_runs_until_its_pod_is_over() -> None:
    assert sees(box=BEGUN, pod=pod_that_runs(), is_pod_gone=False) == ("running", "none", "")
    ended = replace(BEGUN, exit_code=3)
    known = {"box": ended, "is_pod_gone": False}
    assert sees(**known, pod=pod_that_runs()) == ("running", "none", "missing")
    assert sees(**known, pod=recorded("pod-done")) == ("over", "exited", "")


def test_an_end_that_is_on_disk_is_believed_when_its_node_says_no_more() -> None:
    known = {"box": replace(BEGUN, exit_code=3), "pod": pod_that_runs(), "is_pod_gone": False}
    assert sees(**known, missing_ms=FORGOTTEN_MS) == ("over", "exited", "")


def test_a_pod_that_is_gone_without_a_word_runs_until_it_is_fenced() -> None:
    gone = {"box": BEGUN, "pod": pod_that_runs(), "is_pod_gone": True}
    assert sees(**gone) == ("running", "none", "missing")
    assert sees(**gone, missing_ms=10 * FORGOTTEN_MS) == ("running", "none", "missing")
    assert sees(**gone, missing_ms=FORGOTTEN_MS, is_fenced=True) == ("over", "lost", "")
    stopped = gone | {"stopped": "cancelled"}
    assert sees(**stopped, missing_ms=FORGOTTEN_MS, is_fenced=True) == ("over", "cancelled", "")


def test_the_folder_decides_where_the_pod_is_gone() -> None:
    assert sees(box=replace(BEGUN, exit_code=0)) == ("over", "exited", "")
    assert sees(box=replace(BEGUN, exit_code=137, cause="timed_out")) == ("over", "timed_out", "")


def test_who_took_a_pod_is_asked_only_where_nothing_else_explains_its_end() -> None:
    taken = pod_that_runs()
    taken["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    known = {"pod": taken, "is_pod_gone": True, "box": replace(BEGUN, exit_code=143)}
    assert sees(**known) == ("over", "signalled", "taken")
    assert sees(**known, stopped="cancelled") == ("over", "cancelled", "")
    known["box"] = replace(BEGUN, exit_code=143, cause="timed_out")
    assert sees(**known) == ("over", "timed_out", "")


@pytest.mark.parametrize("invented", ["reclaimed", "no_funds", "exited", "x" * 999])
def test_a_job_cannot_invent_a_cause(invented: str) -> None:
    box = replace(BEGUN, exit_code=1, cause=invented)
    assert sees(box=box) == ("over", "exited", "")


def test_its_own_pod_is_the_one_that_began_it_else_the_newest() -> None:
    def made(at: str) -> Any:
        return {"metadata": {"creationTimestamp": at}}

    pods = {"a": made("2026-01-01T00:00:00Z"), "b": made("2026-01-02T00:00:00Z")}
    assert own_pod(Box(), pods, {}) == (pods["b"], False)
    assert own_pod(Box(), {}, pods) == (None, True)
    assert own_pod(replace(BEGUN, pod="a"), pods, {}) == (pods["a"], False)
    assert own_pod(replace(BEGUN, pod="c"), pods, {"c": pods["a"]}) == (pods["a"], True)


def test_only_one_of_a_container_and_a_withdrawal_is_first(tmp_path: Path) -> None:
    folders.prepare(tmp_path / "one", 65534, a_body("true"))
    assert folders.withdraw(tmp_path / "one")
    assert folders.withdraw(tmp_path / "one")
    folders.prepare(tmp_path / "two", 65534, a_body("true"))
    (tmp_path / "two" / "end" / "begun").mkdir()
    assert not folders.withdraw(tmp_path / "two")
    assert folders.read_box(tmp_path / "two").is_begun


def test_what_a_job_lays_in_the_agents_way_is_neither_followed_nor_waited_for(
    tmp_path: Path,
) -> None:
    folders.prepare(tmp_path, 65534, a_body("true"))
    (tmp_path / "end" / "begun").mkdir()
    (tmp_path / "secret").write_text("7 7 7 7")
    (tmp_path / "end" / "exit").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "end" / "cause")
    (tmp_path / "end" / "begun" / "pod").mkdir()
    box = folders.read_box(tmp_path)
    assert (box.exit_code, box.cause, box.pod) == (None, "", "")


def test_a_lease_ends_by_the_sites_clock_in_whole_seconds_rounded_up(tmp_path: Path) -> None:
    folders.write_until(tmp_path, 10_001)
    assert (tmp_path / "orders" / "until").read_text() == "11\n"
    assert folders.read_stop(tmp_path, 10_999) == ("", 0)
    assert folders.read_stop(tmp_path, 11_000) == ("expired", 0)
    folders.order_stop(tmp_path, "cancelled", 3)
    assert folders.read_stop(tmp_path, 11_000) == ("cancelled", 3)
