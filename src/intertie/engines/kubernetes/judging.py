"""What an attempt is, by its folder, its pod and its Job together. Pure.

The folder decides first: what was never begun can be withdrawn and then never begins; what has
begun runs until its pod is over or gone, and nothing that is missing is believed at once.
"""

from dataclasses import dataclass, replace
from typing import Any

from intertie.engines.kubernetes.parse import (
    Box,
    Document,
    End,
    end_of,
    instant_ms,
    is_taken,
    over,
    running,
    waits_for,
)
from intertie.engines.protocol import Observed

# A volume may show a file late, and a look may be older than another.
LATE_MS = 5_000
# A site that has forgotten an attempt is not believed at once.
FORGOTTEN_MS = 10_000
# An image that cannot be had for so long will not be had.
TROUBLE_MS = 120_000
# The box's own causes. A job may write over what its box said, but not invent a cause.
BOX_CAUSES = ("timed_out", "expired", "lost")


@dataclass(frozen=True)
class Sight:
    """All that is known of one attempt at an instant.

    `pod` is its own pod, or the last that was seen of it where `is_pod_gone`. `missing_ms` is for
    how long something that should be there was not; `is_fenced`: what ran cannot run any more.
    """

    box: Box
    stopped: str
    is_created: bool
    job: Document | None
    pod: Document | None
    is_pod_gone: bool
    missing_ms: int
    is_fenced: bool
    now_ms: int


@dataclass(frozen=True)
class Verdict:
    """What is seen, and what is to be done: `asks` is empty or names what has to be found out.

    `withdraw`: over, if nothing begins meanwhile. `missing`: look again. `warnings` and `taken`:
    the site's events say why there is no pod, and who took it away.
    """

    seen: Observed
    asks: str = ""


def judge(known: Observed, sight: Sight) -> Verdict:
    """Return what an attempt is now; `known` is what was last said of it."""
    return _begun(known, sight) if sight.box.is_begun else _waiting(known, sight)


def own_pod(
    box: Box, pods: dict[str, Any], departed: dict[str, Any]
) -> tuple[Document | None, bool]:
    """Return the pod that began the attempt, else the newest; and whether it is gone."""
    if box.pod:
        return (pods[box.pod], False) if box.pod in pods else (departed.get(box.pod), True)
    by_age = sorted(pods.values(), key=lambda each: str(each["metadata"]["creationTimestamp"]))
    return (by_age[-1], False) if by_age else (None, True)


def _waiting(known: Observed, sight: Sight) -> Verdict:
    if sight.stopped:
        return _withdrawn(known, sight.stopped, "")
    if sight.job is None:
        if not sight.is_created:
            return Verdict(known)  # whoever started it will say so again
        if sight.missing_ms < FORGOTTEN_MS:
            return Verdict(known, "missing")
        return _withdrawn(known, "lost", "the site has forgotten its Job")
    if sight.pod is None:
        return _without_pod(known, sight.job)
    if end := end_of(sight.pod):
        if is_taken(sight.pod):
            return Verdict(known)  # its Job makes another, and nothing was begun
        detail = end.detail or "the container could not begin"
        cause = end.cause if end.cause in ("lost", "reclaimed") else "start_failed"
        return _withdrawn(known, cause, detail)
    detail, is_hopeless, is_trouble = waits_for(sight.pod)
    waited_ms = sight.now_ms - instant_ms(sight.pod["metadata"]["creationTimestamp"])
    if is_hopeless or (is_trouble and waited_ms > TROUBLE_MS):
        return _withdrawn(known, "start_failed", detail)
    return Verdict(replace(known, detail=detail[:1500]))


def _without_pod(known: Observed, job: Document) -> Verdict:
    """A Job with no pod waits for a quota, or the site has given it up."""
    for each in job.get("status", {}).get("conditions") or []:
        if each["type"] == "Failed" and each["status"] == "True":
            detail = f"{each.get('reason', '')}: {each.get('message', '')}"
            return _withdrawn(known, "start_failed", detail)
    return Verdict(known, "warnings")


def _begun(known: Observed, sight: Sight) -> Verdict:
    box = sight.box
    if box.cause not in (*BOX_CAUSES, sight.stopped):
        box = replace(box, cause="")
    end = end_of(sight.pod) if sight.pod else None
    has_said_all = box.exit_code is not None or sight.missing_ms >= LATE_MS
    if not sight.is_pod_gone and end is None:
        if box.exit_code is not None and sight.missing_ms >= FORGOTTEN_MS:  # its node is silent
            return Verdict(over(known, box, sight.pod, End(), sight.stopped))
        asks = "missing" if box.exit_code is not None else ""
        return Verdict(running(known, box, sight.pod, sight.now_ms), asks)
    if not has_said_all:
        return Verdict(running(known, box, sight.pod, sight.now_ms), "missing")
    if end is None and box.exit_code is None and not box.cause:
        if sight.missing_ms < FORGOTTEN_MS or not sight.is_fenced:
            return Verdict(running(known, box, sight.pod, sight.now_ms), "missing")
        end = End("lost", "its pod is gone without a word")
    asks = ""
    is_explained = sight.stopped or box.cause or (end and end.cause)
    if sight.pod and is_taken(sight.pod) and not is_explained:
        asks = "taken"
    return Verdict(over(known, box, sight.pod, end or End(), sight.stopped), asks)


def _withdrawn(known: Observed, cause: str, detail: str) -> Verdict:
    return Verdict(replace(known, state="over", cause=cause, detail=detail[:1500]), "withdraw")
