"""What runs on a simulated pool: attempts on the fake engine, whether or not the network hears."""

from dataclasses import dataclass, replace

from intertie.model.lease import Lease
from intertie.model.request import Request
from intertie.model.states import Cause
from intertie.model.units import MILLI
from intertie.run.timing import attempt, stops_at
from intertie.simulator.program import Program


@dataclass(frozen=True)
class FakeAttempt:
    """One attempt as the pool has it.

    `ends_at` is when it is gone by itself or by an explicit stop; `as_it_ends` adds the limits of
    its contract and of its agent's session. `did_ms` is the work that earlier attempts saved.
    """

    lease: int
    token: int
    task: int
    cpus_milli: int
    memory_bytes: int
    score_millionths: int
    starts_at: int
    ends_at: int
    cause: Cause
    exit_code: int
    until: int
    is_moving: bool
    checkpoint: str
    did_ms: int = 0
    is_stopped: bool = False

    def state(self, now: int) -> str:
        """Return what an agent says of it at an instant."""
        if now >= self.ends_at:
            return "ended"
        return "running" if now >= self.starts_at else "pending"

    def ran_ms(self, now: int) -> int:
        """Return the agent's meter at an instant."""
        if self.cause in (Cause.START_FAILED, Cause.DECLINED):
            return 0
        return max(0, min(now, self.ends_at) - self.starts_at)

    def saved_ms(self) -> int:
        """Return the work on one reference unit that a checkpoint at its end holds."""
        return self.did_ms + self.ran_ms(self.ends_at) * self.score_millionths // 1_000_000


def begin(
    lease: Lease, request: Request, program: Program, did_ms: int, now: int, queue_ms: int = 0
) -> FakeAttempt:
    """Return the attempt that a wanted lease begins at an instant, after its site's queue."""
    left_ms = max(0, program.work_ms - did_ms)
    timed = attempt(now + queue_ms, left_ms, lease.score_millionths)
    begun = FakeAttempt(
        lease=lease.id,
        token=lease.token,
        task=lease.task,
        cpus_milli=lease.cpus_milli,
        memory_bytes=lease.memory_bytes,
        score_millionths=max(1, lease.score_millionths),
        starts_at=timed.starts_at,
        ends_at=timed.ends_at,
        cause=Cause.EXITED,
        exit_code=program.exit_code,
        until=lease.until,
        is_moving=request.on_partition == "move",
        checkpoint=request.checkpoint.path if request.checkpoint else "",
        did_ms=did_ms,
    )
    if program.start:
        never = Cause.DECLINED if program.start == "declined" else Cause.START_FAILED
        return replace(begun, ends_at=timed.starts_at, cause=never)
    return cut(begun, timed.starts_at + request.time_limit_s * MILLI, Cause.TIMED_OUT)


def cut(running: FakeAttempt, at: int, cause: Cause) -> FakeAttempt:
    """Return the attempt ended at an instant, unless it is over before."""
    if at >= running.ends_at:
        return running
    return replace(running, ends_at=at, cause=cause, starts_at=min(running.starts_at, at))


def told_to_stop(running: FakeAttempt, cause: Cause, grace_s: int, now: int) -> FakeAttempt:
    """Return the attempt as it is after an explicit stop; a second stop changes nothing."""
    if running.is_stopped or now >= running.ends_at:
        return running
    return replace(cut(running, stops_at(now, grace_s), cause), is_stopped=True)


def as_it_ends(running: FakeAttempt, session_ends_at: int) -> FakeAttempt:
    """Return the attempt as it ends unless its lease or its agent's session is renewed before."""
    ended = cut(running, running.until, Cause.EXPIRED)
    return cut(ended, session_ends_at, Cause.LOST) if running.is_moving else ended
