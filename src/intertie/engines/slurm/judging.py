"""What is true of an attempt, from what its shim wrote and what the site says; pure.

The shim's word is believed first: it was there. The site's word says why a shim fell silent, and
refines an end that came by a signal from outside. What the site says against a shim that is
alive is believed after it was seen twice: a controller that was killed may have forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from intertie.engines.protocol import Observed
from intertie.engines.slurm.parsing import Job

HOLD_S = 5.0  # how long an end waits for the site's own word, which carries the second meter
SETTLE_S = 2.0  # the least time between the two looks
QUIET_S = 12.0  # a shim writes each second; a shared file system may show it later
QUIET_KILLED_S = 4.0  # where the site says that it killed it
FORGOTTEN_S = 10.0

CAUSES = {
    "PREEMPTED": "reclaimed",
    "CANCELLED": "reclaimed",
    "TIMEOUT": "timed_out",
    "DEADLINE": "timed_out",
    "OUT_OF_MEMORY": "out_of_memory",
    "NODE_FAIL": "lost",
    "BOOT_FAIL": "lost",
}
REPEATED = "the site began it a second time, and that execution was stopped"
DEAD_NODES = ("NODE_FAIL", "BOOT_FAIL")


@dataclass(frozen=True)
class View:
    """All that is known of one attempt at one look.

    `job` is None where the site knows none. `quiet_s` is how long the shim has written nothing
    new, `away_s` how long the site has not had it running, `over_s` how long the shim is done.
    `is_repeated`: the site began it a second time, which came to nothing.
    """

    status: Mapping[str, Any] | None
    ordered: str = ""
    job: Job | None = None
    is_submitted: bool = False
    quiet_s: float = 0.0
    away_s: float = 0.0
    over_s: float = 0.0
    is_repeated: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is seen of an attempt, and what is to be done about it.

    `end`: this is its last word. `withdraw`: see to it that it never begins. `fence`: its shim
    lives where the site has nothing running; stop it. `again`: the site lost it unbegun.
    """

    seen: Observed
    act: str = ""


def judge(lease: str, token: int, view: View) -> Verdict:
    """Return the verdict on one attempt."""
    if view.status is None:
        return _unbegun(lease, token, view)
    seen = _told(lease, token, view)
    if view.status["state"] == "over":
        return _ended(seen, view)
    return _begun(seen, view)


def _unbegun(lease: str, token: int, view: View) -> Verdict:
    job = view.job
    seen = Observed(lease, token, "pending", detail="waits to be handed to the site")
    if not view.is_submitted:
        return Verdict(seen)
    if job is None:
        return Verdict(seen, "again" if view.away_s >= FORGOTTEN_S else "")
    expected_at = job.start_s * 1000 if job.is_waiting else 0
    seen = replace(seen, detail=_reason(job), expected_start_at=expected_at)
    if job.is_running:
        return Verdict(replace(seen, node=job.node))
    if job.is_over and view.away_s >= SETTLE_S:
        cause = CAUSES.get(job.state, "start_failed")
        detail = f"the site ended it before it began: {job.state} {_reason(job)}".strip()
        return Verdict(replace(seen, cause=cause, detail=detail), "withdraw")
    if _is_launch_failed(job):
        detail = f"the site could not launch it: {_reason(job)}"
        return Verdict(replace(seen, cause="start_failed", detail=detail), "withdraw")
    return Verdict(seen)


def _ended(seen: Observed, view: View) -> Verdict:
    """The shim has had its last word; the site's own is waited for, but not for long."""
    job = view.job
    is_told = job is not None and job.is_over
    is_final = is_told or view.over_s >= HOLD_S or not seen.started_at
    if not is_final and seen.exit_code == 0 and seen.cause == "exited":
        return Verdict(replace(seen, is_final=False))  # of that the site can only say how long
    if not is_final:
        return Verdict(replace(seen, state="running", cause="none", exit_code=None, signal=None))
    return Verdict(replace(seen, cause=_cause(seen, view)), "end")


def _cause(seen: Observed, view: View) -> str:
    state = view.job.state if view.job else ""
    if seen.cause == "lost":  # a signal from outside ended it, and that is all the shim knows
        return view.ordered or CAUSES.get(state, "lost")
    if state == "OUT_OF_MEMORY" and seen.exit_code != 0 and not view.ordered:
        return "out_of_memory"
    return seen.cause


def _begun(seen: Observed, view: View) -> Verdict:
    job = view.job
    if job is not None and job.is_running:
        return Verdict(seen)
    if view.away_s < SETTLE_S:
        return Verdict(seen)
    is_killed = job is not None and job.is_over and job.state not in DEAD_NODES
    if view.quiet_s >= (QUIET_KILLED_S if is_killed else QUIET_S):
        cause = view.ordered or CAUSES.get(job.state if job else "", "lost")
        detail = f"its shim fell silent; the site says {_word(job)}"
        detail = f"{detail}; {REPEATED}" if view.is_repeated else detail
        return Verdict(replace(seen, state="over", cause=cause, detail=detail), "end")
    is_alive = view.quiet_s < QUIET_KILLED_S
    if is_alive and view.away_s >= FORGOTTEN_S and not view.ordered:
        return Verdict(seen, "fence")
    return Verdict(seen)


def _told(lease: str, token: int, view: View) -> Observed:
    """Return what the shim wrote, with what the site adds to it."""
    status, job = view.status, view.job
    assert status is not None, "there is no word of the shim"
    plain = ("state", "cause", "exit_code", "signal", "started_at", "ran_ms", "cpu_ms", "detail")
    known = {key: status[key] for key in (*plain, "memory_peak_bytes")}
    site_ms = job.elapsed_s * 1000 if job and job.is_over else 0
    if view.is_repeated:
        known["detail"] = f"{known['detail']}; {REPEATED}".removeprefix("; ")
    node = status.get("node") or (job.node if job else "")
    return Observed(lease, token, **known, site_ms=site_ms, node=node)


def _is_launch_failed(job: Job) -> bool:
    return job.is_waiting and "launch" in job.reason.lower() and "fail" in job.reason.lower()


def _reason(job: Job) -> str:
    return "" if job.reason in ("None", "(null)") else job.reason


def _word(job: Job | None) -> str:
    return f"{job.state} {_reason(job)}".strip() if job else "that it knows no such job"
