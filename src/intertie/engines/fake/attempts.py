"""Attempts that only pass time: a few instants say everything that will be seen of one.

A job's environment says what its program does, in the simulator's words: ``WORK_MS`` is the time
on one reference unit (0 if it does not say), ``EXIT_CODE`` what it ends with, and ``START`` is
``failed`` where it never begins.
"""

from dataclasses import dataclass, replace

from intertie.engines.protocol import Observed
from intertie.model.units import MILLI
from intertie.run.timing import attempt, stops_at
from intertie.wire.sync import LeaseBody

SIGTERM = 15
NEVER = 2**62


@dataclass(frozen=True)
class FakeAttempt:
    """One attempt. All instants are in ms of the engine's clock; `ends_at` is when it is gone."""

    lease: str
    token: int
    starts_at: int
    ends_at: int
    cause: str
    exit_code: int
    cpus_milli: int
    memory_bytes: int
    until: int = NEVER
    is_moving: bool = False
    is_stopped: bool = False

    def as_it_ends(self, session_ends_at: int) -> "FakeAttempt":
        """Return the attempt as it ends unless its lease or its agent's session is renewed."""
        ended = cut(self, self.until, "expired")
        return cut(ended, session_ends_at, "lost") if self.is_moving else ended


def begin(
    lease: str, token: int, body: LeaseBody, now: int, score_millionths: int, startup_ms: int
) -> FakeAttempt:
    """Return the attempt that starts now; its time limit is in it already."""
    told = body.environment
    timed = attempt(now, int(told.get("WORK_MS", 0)), score_millionths, startup_ms)
    begun = FakeAttempt(
        lease=lease,
        token=token,
        starts_at=timed.starts_at,
        ends_at=timed.ends_at,
        cause="exited",
        exit_code=int(told.get("EXIT_CODE", 0)),
        cpus_milli=body.cpus_milli,
        memory_bytes=body.memory_bytes,
        is_moving=body.on_partition == "move",
    )
    if told.get("START") == "failed":
        return replace(begun, ends_at=timed.starts_at, cause="start_failed")
    return cut(begun, timed.starts_at + body.time_limit_s * MILLI, "timed_out")


def never(lease: str, token: int, cause: str, now: int) -> FakeAttempt:
    """Return an attempt that was withdrawn before it could start."""
    return FakeAttempt(lease, token, now, now, cause, 0, 0, 0)


def cut(running: FakeAttempt, at: int, cause: str) -> FakeAttempt:
    """Return the attempt ended at an instant, unless it is over before."""
    if at >= running.ends_at:
        return running
    return replace(running, ends_at=at, starts_at=min(running.starts_at, at), cause=cause)


def told_to_stop(running: FakeAttempt, cause: str, grace_s: int, now: int) -> FakeAttempt:
    """Return the attempt as it is after an explicit stop; a second stop changes nothing."""
    if running.is_stopped or now >= running.ends_at:
        return running
    return replace(cut(running, stops_at(now, grace_s), cause), is_stopped=True)


def observed(each: FakeAttempt, now: int) -> Observed:
    """Return what is seen of an attempt at an instant."""
    if now < each.starts_at:
        return Observed(each.lease, each.token, "pending")
    is_over = now >= each.ends_at
    ran_ms = min(now, each.ends_at) - each.starts_at
    has_exited = is_over and each.cause == "exited"
    has_begun = not is_over or each.cause not in ("start_failed", "declined")
    return Observed(
        lease=each.lease,
        token=each.token,
        state="over" if is_over else "running",
        cause=each.cause if is_over else "none",
        exit_code=each.exit_code if has_exited else None,
        signal=SIGTERM if is_over and has_begun and not has_exited else None,
        started_at=each.starts_at if has_begun else 0,
        ran_ms=ran_ms,
        cpu_ms=ran_ms * each.cpus_milli // MILLI,
        memory_peak_bytes=each.memory_bytes // 2 if has_begun else 0,
    )
