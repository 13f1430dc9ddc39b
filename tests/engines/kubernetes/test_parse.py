"""What documents of a real cluster mean, as they were recorded (INTERTIE_RECORD=1)."""

import json
from copy import deepcopy
from typing import Any

import pytest

from intertie.engines.kubernetes.parse import (
    Box,
    End,
    end_of,
    image_of,
    instant_ms,
    is_taken,
    over,
    ran_between,
    running,
    taken_by,
    taken_by_events,
    waits_for,
    warning_of,
)
from intertie.engines.kubernetes.quantity import milli, whole
from intertie.engines.protocol import Observed
from tests.engines.kubernetes.clusters import RECORDED

KNOWN = Observed("lease-1", 1, "pending")


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def ended(**status: Any) -> Any:
    """A real pod that is done, with another word of the site about its end."""
    pod = deepcopy(recorded("pod-done"))
    pod["status"] |= {"phase": "Failed"} | status
    return pod


def test_a_pod_that_cannot_be_scheduled_waits_in_the_schedulers_words() -> None:
    detail, is_hopeless, is_trouble = waits_for(recorded("pod-unschedulable"))
    assert detail.startswith("Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com")
    assert not is_hopeless
    assert not is_trouble
    assert end_of(recorded("pod-unschedulable")) is None


def test_a_pod_whose_image_cannot_be_had_is_in_trouble_but_not_without_hope() -> None:
    detail, is_hopeless, is_trouble = waits_for(recorded("pod-image"))
    assert detail.startswith("ImagePullBackOff: Back-off pulling image")
    assert (is_hopeless, is_trouble) == (False, True)


def test_a_program_that_ends_by_itself_leaves_no_cause() -> None:
    pod = recorded("pod-done")
    assert end_of(pod) == End("", "Completed")
    started_at, ended_at = ran_between(pod)
    assert ended_at - started_at in (3000, 4000)
    assert image_of(pod).startswith("sha256:")
    assert not is_taken(pod)


def test_running_out_of_memory_is_told_from_a_kill() -> None:
    pod = recorded("pod-out-of-memory")
    assert end_of(pod) == End("out_of_memory", "OOMKilled")
    survived = deepcopy(pod)
    survived["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 0
    end = end_of(survived)
    assert end is not None
    assert end.cause == ""


@pytest.mark.parametrize(
    ("reason", "message", "cause"),
    [
        ("DeadlineExceeded", "Pod was active on the node longer than the deadline", "timed_out"),
        ("Evicted", "Pod ephemeral local storage usage exceeds the total limit", "out_of_disk"),
        ("Evicted", "The node was low on resource: ephemeral-storage.", "lost"),
        ("Evicted", "The node was low on resource: memory.", "lost"),
        ("NodeLost", "Node vm which was running the pod is unresponsive", "lost"),
        ("Terminated", "Pod was terminated in response to imminent node shutdown.", "lost"),
    ],
)
def test_the_sites_reasons_are_told_apart(reason: str, message: str, cause: str) -> None:
    end = end_of(ended(reason=reason, message=message))
    assert end is not None
    assert end.cause == cause
    assert message in end.detail


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("PreemptionByScheduler", "reclaimed"),
        ("EvictionByEvictionAPI", "reclaimed"),
        ("DeletionByTaintManager", "lost"),
        ("DeletionByPodGC", "lost"),
        ("SomethingNew", "lost"),
    ],
)
def test_a_disruption_says_who_took_the_pod(reason: str, cause: str) -> None:
    told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "m"}
    pod = ended(conditions=[told])
    assert end_of(pod) == taken_by(pod) == End(cause, f"{reason}: m")
    pod["status"]["conditions"][0]["status"] = "False"
    assert taken_by(pod) is None


def test_events_say_who_took_the_pod_where_it_does_not_say_itself() -> None:
    killing = {"reason": "Killing", "message": "Stopping container task"}
    preempted = {"reason": "Preempted", "message": "Preempted by default/own on node vm"}
    assert taken_by_events([killing, preempted]).cause == "reclaimed"
    assert taken_by_events([killing, preempted]).detail.startswith("Preempted: Preempted by")
    assert taken_by_events([{"reason": "TaintManagerEviction"}]).cause == "lost"
    assert taken_by_events([killing]).cause == "reclaimed"


def test_a_pod_that_was_deleted_after_its_end_was_not_taken() -> None:
    pod = recorded("pod-done")
    finished = pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    pod["metadata"] |= {"deletionTimestamp": finished, "deletionGracePeriodSeconds": 2}
    assert is_taken(pod)
    pod["metadata"]["deletionTimestamp"] = "2199-01-01T00:00:00Z"
    assert not is_taken(pod)


def test_the_last_warning_of_a_job_is_told() -> None:
    early = {"type": "Warning", "reason": "A", "lastTimestamp": "2026-01-01T00:00:00Z"}
    late = early | {"reason": "FailedCreate", "lastTimestamp": "2026-01-02T00:00:00Z"}
    normal = {"type": "Normal", "reason": "B", "lastTimestamp": "2026-01-03T00:00:00Z"}
    assert warning_of([late | {"message": "exceeded quota"}, early, normal]).startswith(
        "FailedCreate: exceeded quota"
    )
    assert warning_of([normal]) == ""


def test_a_program_that_lies_about_its_time_is_paid_by_the_site() -> None:
    pod = recorded("pod-done")
    honest = Box(True, "pod", "vm", "", 0, ran_ms=3010, cpu_ms=9, memory_peak_bytes=7)
    lying = Box(True, "pod", "vm", "", 0, ran_ms=1)
    seen = over(KNOWN, honest, pod, End(), "")
    assert (seen.ran_ms, seen.cpu_ms, seen.memory_peak_bytes, seen.node) == (3010, 9, 7, "vm")
    assert over(KNOWN, lying, pod, End(), "").ran_ms == seen.site_ms


def test_a_stop_stands_before_the_sites_word_and_the_boxs_word_before_both() -> None:
    pod = recorded("pod-out-of-memory")
    box = Box(True, "pod", "vm", "", 137)
    assert over(KNOWN, box, pod, End("out_of_memory"), "").cause == "out_of_memory"
    stopped = over(KNOWN, box, pod, End("out_of_memory"), "cancelled")
    assert (stopped.cause, stopped.exit_code, stopped.signal) == ("cancelled", None, 9)
    timed_out = Box(True, "pod", "vm", "timed_out", 143)
    assert over(KNOWN, timed_out, pod, End(), "cancelled").cause == "timed_out"


def test_the_meter_of_what_runs_never_runs_ahead_of_its_end() -> None:
    pod = recorded("pod-done")
    started_at, ended_at = ran_between(pod)
    state = pod["status"]["containerStatuses"][0]["state"]
    pod["status"]["containerStatuses"][0]["state"] = {
        "running": {"startedAt": state["terminated"]["startedAt"]}
    }
    box = Box(True, "pod", "vm")
    last = running(KNOWN, box, pod, ended_at)
    assert (last.state, last.started_at, last.node) == ("running", started_at, "vm")
    assert 0 <= last.ran_ms <= ended_at - started_at - 2000
    assert running(last, box, None, ended_at).ran_ms == last.ran_ms


def test_instants_and_quantities_are_whole_numbers() -> None:
    assert instant_ms("1970-01-01T00:00:02Z") == 2000
    assert instant_ms(None) == 0
    assert [milli(text) for text in ("250m", "2", "1.5", "1e1")] == [250, 2000, 1500, 10_000]
    assert [whole(text) for text in ("64Mi", "1k", "129e6", "128974848000m", "8")] == [
        64 << 20,
        1000,
        129_000_000,
        128_974_848,
        8,
    ]
    with pytest.raises(ValueError, match="12Q"):
        whole("12Q")
