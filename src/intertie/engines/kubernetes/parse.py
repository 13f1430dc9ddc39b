"""Documents in, values out: what the API server's words about one attempt mean. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from intertie.engines.protocol import Observed

Document = Mapping[str, Any]

SIGKILL = 9
# A shell tells a signal as 128 + its number.
SIGNALS = range(129, 129 + 64)
# What no waiting mends; and what is tried again by the site, until we are tired of it.
HOPELESS = {"ErrImageNeverPull", "InvalidImageName"}
TROUBLED = {
    "ErrImagePull",
    "ImagePullBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "RegistryUnavailable",
}
# Why a pod was taken away, by its condition DisruptionTarget or by the events about it.
TAKEN = {
    "PreemptionByScheduler": "reclaimed",
    "Preempted": "reclaimed",
    "EvictionByEvictionAPI": "reclaimed",
    "DeletionByTaintManager": "lost",
    "TaintManagerEviction": "lost",
    "DeletionByPodGC": "lost",
    "NodeControllerEviction": "lost",
    "TerminationByKubelet": "lost",
}
# The site may count whole seconds only, so its meter and ours may be this far apart.
ROUNDING_MS = 2000


@dataclass(frozen=True)
class Box:
    """What an attempt's first process wrote; `begun_at` is when, by the volume's clock.

    `opened_at` is when the barrier of its gang opened, ms; 0 where it begins alone. Its container
    was there before, but nothing of it ran.
    """

    is_begun: bool = False
    pod: str = ""
    node: str = ""
    cause: str = ""
    exit_code: int | None = None
    ran_ms: int = 0
    cpu_ms: int = 0
    memory_peak_bytes: int = 0
    begun_at: int = 0
    opened_at: int = 0


@dataclass(frozen=True)
class End:
    """Why a pod is over, by the site's word; `cause` is empty where the program just ended."""

    cause: str = ""
    detail: str = ""


def end_of(pod: Document) -> End | None:
    """Return the end of a pod whose containers are gone; None while they may run."""
    status = pod.get("status", {})
    stopped = _container(pod).get("state", {}).get("terminated")
    if status.get("phase") not in ("Succeeded", "Failed") and stopped is None:
        return None
    reason, message = status.get("reason", ""), status.get("message", "")
    if reason == "DeadlineExceeded":
        return End("timed_out", message)
    if reason == "Evicted":
        is_own = not message.startswith("The node was low")
        is_disk = is_own and any(word in message for word in ("ephemeral", "EmptyDir"))
        return End("out_of_disk" if is_disk else "lost", f"Evicted: {message}")
    if taken := taken_by(pod):
        return taken
    if reason in ("NodeLost", "NodeShutdown", "Shutdown", "Terminated", "NodeAffinity"):
        return End("lost", f"{reason}: {message}")
    stopped = stopped or {}
    if stopped.get("reason") == "OOMKilled" and stopped.get("exitCode") != 0:
        return End("out_of_memory", "OOMKilled")
    return End("", stopped.get("message") or message or stopped.get("reason", ""))


def taken_by(pod: Document) -> End | None:
    """Return who took the pod away, by its own condition (Kubernetes 1.26 and later)."""
    told = _condition(pod, "DisruptionTarget")
    if told.get("status") != "True":
        return None
    reason = told.get("reason", "")
    return End(TAKEN.get(reason, "lost"), f"{reason}: {told.get('message', '')}")


def taken_by_events(events: Sequence[Document]) -> End:
    """Return who took a pod away, by the events about it; by hand or by drain, if they say nothing.

    A drain leaves no event, and a pod that is deleted by hand leaves one only of its killing.
    """
    for event in events:
        if cause := TAKEN.get(event.get("reason", "")):
            return End(cause, f"{event['reason']}: {event.get('message', '')}")
    return End("reclaimed", "the site took the pod away: drained, evicted or deleted")


def waits_for(pod: Document) -> tuple[str, bool, bool]:
    """Return what a pod waits for in the site's own words, whether in vain, and if trouble."""
    told = _container(pod).get("state", {}).get("waiting", {})
    reason = told.get("reason", "")
    if reason in HOPELESS or reason in TROUBLED:
        detail = f"{reason}: {told.get('message', '')}".rstrip(": ")
        return detail, reason in HOPELESS, True
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        detail = f"{scheduled.get('reason', '')}: {scheduled.get('message', '')}"
        return detail, False, False
    return reason, False, False


def warning_of(events: Sequence[Document]) -> str:
    """Return the last warning of a Job that has no pod, such as a quota that is full."""
    told = [each for each in events if each.get("type") == "Warning"]
    last = max(told, key=lambda each: str(each.get("lastTimestamp") or ""), default={})
    return f"{last['reason']}: {last.get('message', '')}" if last else ""


def running(known: Observed, box: Box, pod: Document | None, now_ms: int) -> Observed:
    """Return an attempt that runs; its meter never runs ahead of what the end will say."""
    started_at = _ran_between(box, pod)[0] or box.begun_at
    ran_ms = max(0, now_ms - started_at - ROUNDING_MS) if started_at else 0
    return replace(
        known,
        state="running",
        started_at=started_at or known.started_at,
        ran_ms=max(known.ran_ms, ran_ms),
        node=box.node,
        image=image_of(pod),
        detail="",
    )


def over(known: Observed, box: Box, pod: Document | None, end: End, stopped: str) -> Observed:
    """Return an attempt that is over: by its box's word, by the network's order, by the site's."""
    started_at, ended_at = _ran_between(box, pod)
    site_ms = max(0, ended_at - started_at) if ended_at else 0
    code = box.exit_code
    is_signal = code in SIGNALS
    why = box.cause or stopped or end.cause or _plain_cause(code)
    signal = code - 128 if code is not None and is_signal else None
    if code is None and box.is_begun and why in ("out_of_memory", "lost", "timed_out", stopped):
        signal = SIGKILL
    ran_ms = box.ran_ms
    if code is None or (site_ms and abs(site_ms - ran_ms) > ROUNDING_MS):
        ran_ms = site_ms  # a program may write over what its box said
    return replace(
        known,
        state="over",
        cause=why,
        exit_code=None if is_signal else code,
        signal=signal,
        started_at=started_at or known.started_at,
        ran_ms=max(known.ran_ms, ran_ms),
        site_ms=site_ms,
        cpu_ms=box.cpu_ms,
        memory_peak_bytes=box.memory_peak_bytes,
        node=box.node or known.node,
        image=image_of(pod) or known.image,
        detail=("" if why in ("exited", "signalled") else end.detail)[:1500],
    )


def _plain_cause(code: int | None) -> str:
    if code is None:
        return "lost"
    return "signalled" if code in SIGNALS else "exited"


def ran_between(pod: Document | None) -> tuple[int, int]:
    """Return when the container started and finished, ms since the epoch, 0 where unknown."""
    state = _container(pod or {}).get("state", {})
    told = state.get("terminated") or state.get("running") or {}
    return instant_ms(told.get("startedAt")), instant_ms(told.get("finishedAt"))


def _ran_between(box: Box, pod: Document | None) -> tuple[int, int]:
    """Return when the program started and its container finished, in whole seconds as the site."""
    started_at, ended_at = ran_between(pod)
    return max(started_at, box.opened_at // 1000 * 1000) if started_at else 0, ended_at


def is_up(pod: Document) -> bool:
    """Return whether its container runs, and nobody has asked for its end."""
    is_leaving = "deletionTimestamp" in pod.get("metadata", {})
    return not is_leaving and "running" in _container(pod).get("state", {})


def image_of(pod: Document | None) -> str:
    """Return the digest of the image that the container runs in, as far as the site tells it."""
    told = str(_container(pod or {}).get("imageID", ""))
    return told.removeprefix("docker-pullable://")[:200]


def instant_ms(text: str | None) -> int:
    """Return an instant of Kubernetes, `2026-11-22T08:00:00Z`, in ms since the epoch."""
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0


def is_taken(pod: Document) -> bool:
    """Return whether somebody asked for the pod's end before its program ended by itself."""
    meta = pod.get("metadata", {})
    if "deletionTimestamp" not in meta:
        return False
    asked_at = instant_ms(meta["deletionTimestamp"])
    asked_at -= 1000 * int(meta.get("deletionGracePeriodSeconds") or 0)
    _, ended_at = ran_between(pod)
    return not ended_at or ended_at >= asked_at


def _container(pod: Document) -> Document:
    told = pod.get("status", {}).get("containerStatuses") or [{}]
    return next((each for each in told if each.get("name") == "task"), told[0])


def _condition(pod: Document, kind: str) -> Document:
    told = pod.get("status", {}).get("conditions") or []
    return next((each for each in told if each.get("type") == kind), {})
