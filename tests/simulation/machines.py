"""The machines of one pool, as an `Engine`: attempts run on under their shims, agent or not.

What truly happened is kept in `history`; the auditor reads it and nothing else of this.
"""

from dataclasses import dataclass, field
from typing import Any

from intertie.engines.protocol import EngineFacts, Observed
from intertie.model.parties import NodeFacts
from intertie.wire.sync import LeaseBody
from tests.simulation.clockwork import Clockwork, Flag

STARTUP_MS = 100
STOPPING_MS = 200
OWN_GRACE_MS = 5_000
NEVER = 2**62


@dataclass
class Run:
    """One attempt as it truly was, in true time. `began_at` is 0 where it never began."""

    pool: int
    lease: str
    token: int
    incarnation: int
    job: str
    task: int
    body: LeaseBody | None = None
    until: int = 0
    claimed_at: int = 0
    began_at: int = 0
    ends_at: int = NEVER
    cause: str = "none"
    exit_code: int | None = None
    is_over: bool = False
    stop: str = ""
    told: dict[str, int] = field(default_factory=dict)

    def ran_ms(self, now: int) -> int:
        """Return the shim's meter: from the start of the program to its end."""
        return max(0, min(now, self.ends_at) - self.began_at) if self.began_at else 0


class _Folder:
    """An attempt's folder: whether it was started is all that is asked of it."""

    def __init__(self, machines: "Machines", lease: str, token: int) -> None:
        self._machines, self._name = machines, (lease, token)

    def __truediv__(self, _: str) -> "_Folder":
        return self

    def exists(self) -> bool:
        run = self._machines.runs.get(self._name)
        return run is not None and run.body is not None


class Machines:
    """One pool's machines. `wall_offset_ms` is how far their wall clock is from true time."""

    def __init__(self, clock: Clockwork, pool: int, nodes: tuple[NodeFacts, ...]) -> None:
        self.clock, self.pool, self.nodes = clock, pool, nodes
        self.wall_offset_ms = 0
        self.incarnation = 1
        self.history: list[Run] = []
        self.runs: dict[tuple[str, int], Run] = {}
        self._session_ends_at = NEVER
        self._changed = Flag(clock)

    def facts(self) -> EngineFacts:
        return EngineFacts("fake", self.nodes, (), ("sandbox",), ())

    def folder(self, lease: str, token: int) -> Any:
        return _Folder(self, lease, token)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Start the attempt unless it was started, or withdrawn, before."""
        run = self._run(lease, token)
        if run.body is not None or run.is_over:
            return
        self.live()
        run.body, run.job, run.task = body, body.job, body.task_index
        run.claimed_at = self.clock.now
        told = body.environment
        if told.get("START") == "failed":
            self._end(run, self.clock.now, "start_failed")
            return
        run.began_at = self.clock.now + STARTUP_MS
        run.exit_code = int(told.get("EXIT_CODE", "0"))
        work_ms = int(told.get("WORK_MS", "10000"))
        self._ends(run, run.began_at + work_ms, "exited")
        self._ends(run, run.began_at + body.time_limit_s * 1000, "timed_out")

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        self.live()
        self._run(lease, token).until = self.clock.now + left_ms

    def renew(self, left_ms: int) -> None:
        self.live()
        self._session_ends_at = self.clock.now + left_ms

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        """Stop it; an attempt that has not begun never will."""
        self.live()
        run = self.runs.get((lease, token))
        if run is None or run.is_over:
            return
        run.stop = run.stop or cause
        if run.body is None:
            self._end(run, self.clock.now, cause)
            return
        ignores = "IGNORES_STOP" in run.body.environment
        leaves_ms = grace_s * 1000 if ignores else min(STOPPING_MS, grace_s * 1000)
        self._ends(run, self.clock.now + leaves_ms, cause)
        self._changed.wake()

    def observe(self) -> list[Observed]:
        self.live()
        return [self._observed(run) for run in self.runs.values() if run.body is not None]

    def forget(self, lease: str, token: int) -> None:
        run = self.runs.get((lease, token))
        if run is not None and (run.is_over or run.body is None):
            del self.runs[lease, token]

    def wait(self, timeout_s: float) -> None:
        changes = [run.began_at for run in self.runs.values() if run.began_at > self.clock.now]
        changes += [self._end_of(run)[0] for run in self.runs.values() if not run.is_over]
        next_ms = min([at - self.clock.now for at in changes if at > self.clock.now], default=NEVER)
        self._changed.wait(min(timeout_s, next_ms / 1000))

    def wake(self) -> None:
        self._changed.wake()

    def jump(self, ms: int) -> None:
        """Set the wall clock forward or back."""
        self.live()
        self.wall_offset_ms += ms
        self.live()

    def lose_power(self) -> None:
        """End all that runs at this instant."""
        self.live()
        for run in self.runs.values():
            if not run.is_over and run.body is not None:
                self._end(run, self.clock.now, "lost")

    def live(self) -> None:
        """Fix what has ended by now: no later renewal brings it back."""
        for run in self.runs.values():
            at, cause = self._end_of(run)
            if run.body is not None and not run.is_over and at <= self.clock.now:
                self._end(run, at, cause)

    def _end_of(self, run: Run) -> tuple[int, str]:
        """Return when and why it ends if nothing more is heard of the network."""
        ends = [(run.ends_at, run.cause)]
        if run.body is None:
            return ends[0]
        leaves_ms = OWN_GRACE_MS if "IGNORES_STOP" in run.body.environment else 0
        if run.until:
            until = max(run.claimed_at, run.until)
            ends.append((until + leaves_ms, "expired"))
        if run.body.on_partition == "move":
            ends.append((max(run.claimed_at, self._session_ends_at) + leaves_ms, "lost"))
        return min(ends)

    def _ends(self, run: Run, at: int, cause: str) -> None:
        if at < run.ends_at:
            run.ends_at, run.cause = at, cause

    def _end(self, run: Run, at: int, cause: str) -> None:
        run.is_over, run.ends_at, run.cause = True, at, cause
        if run.began_at > at:  # it was to begin, and then was not
            run.began_at = at
        if cause != "exited":
            run.exit_code = None

    def _run(self, lease: str, token: int) -> Run:
        run = self.runs.get((lease, token))
        if run is None:
            run = Run(self.pool, lease, token, self.incarnation, "", 0)
            self.runs[lease, token] = run
            self.history.append(run)
        return run

    def _observed(self, run: Run) -> Observed:
        now = self.clock.now
        state = "pending" if now < run.began_at else "running"
        ran_ms = run.ran_ms(now)
        return Observed(
            run.lease,
            run.token,
            "over" if run.is_over else state,
            run.cause if run.is_over else "none",
            exit_code=run.exit_code if run.is_over else None,
            started_at=run.began_at + self.wall_offset_ms if run.began_at else 0,
            ran_ms=ran_ms,
            cpu_ms=ran_ms,
            memory_peak_bytes=1,
        )
