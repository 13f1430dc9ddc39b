"""A fake agent.

It takes the leases that the World wants and reports as the fake engine times them.
"""

from typing import Any

from intertie.model.ids import encode
from intertie.model.lease import Lease
from intertie.model.parties import PoolFacts
from intertie.model.request import Request
from intertie.model.states import LeaseState
from intertie.model.units import MILLI
from intertie.run.reconciling import ALIVE
from intertie.run.timing import Attempt, attempt, stops_at
from intertie.wire.digest import observation_digest
from intertie.world.world import World

POLL_MS = 1_000


class FakeAgent:
    """One pool's agent on the virtual clock.

    `work_ms` says what a task takes on a reference unit.
    """

    def __init__(self, pool: int, epoch: int, facts: PoolFacts) -> None:
        self.pool = pool
        self.epoch = epoch
        self.lent_cpus_milli = facts.terms.lent_cpus_milli
        self.lent_memory_bytes = facts.terms.lent_memory_bytes
        self.is_silent = False
        self._sequence = 0
        self._attempts: dict[int, Attempt] = {}
        self._told: dict[int, str] = {}
        self._owner: tuple[int, int] = (self.lent_cpus_milli, self.lent_memory_bytes)
        self._synced_at = 0

    def sync(self, world: World, now: int) -> dict[str, Any] | None:
        """Return a sync body when there is something to say or the session is due; else None."""
        if self.is_silent:
            return None
        leases = [lease for lease in world.leases.where(pool=self.pool) if lease.state in ALIVE]
        said = [self._say(world, lease, now) for lease in leases]
        news = [each for each in said if each is not None]
        owner = (self.lent_cpus_milli, self.lent_memory_bytes)
        if not news and owner == self._owner and now - self._synced_at < POLL_MS:
            return None
        self._sequence += 1
        self._synced_at, self._owner = now, owner
        self._told.update({lease: state for lease, state, _ in news})
        seen = [
            (encode("lease", lease.id), lease.token)
            for lease in leases
            if self._told.get(lease.id) in ("pending", "running")
        ]
        return {
            "epoch": self.epoch,
            "sequence": self._sequence,
            "digest": observation_digest(seen),
            "leases": [body for _, _, body in news],
            "declines": [],
            "owner": {
                "lent_cpus_milli": owner[0],
                "lent_memory_bytes": owner[1],
                "is_draining": False,
            },
        }

    def next_at(self, now: int) -> int:
        """Return the next instant after `now` at which this agent has something to say."""
        if self.is_silent:
            return now + POLL_MS
        instants = [self._synced_at + POLL_MS]
        for each in self._attempts.values():
            instants += [each.starts_at, each.ends_at]
        return min((at for at in instants if at > now), default=now + POLL_MS)

    def _say(self, world: World, lease: Lease, now: int) -> tuple[int, str, dict[str, Any]] | None:
        plan = self._attempts.get(lease.id)
        if plan is None:
            request: Request = world.documents["request", lease.job]
            work_ms = work_ms_of(request, world.tasks.get(lease.task).index)
            plan = attempt(now, work_ms, lease.score_millionths)
        cause = "exited" if plan.exit_code == 0 else "signalled"
        if lease.state == LeaseState.STOPPING and plan.ends_at > now and plan.exit_code == 0:
            gone_at = stops_at(max(now, lease.stop_at), lease.grace_s)
            plan = Attempt(min(plan.starts_at, gone_at), min(plan.ends_at, gone_at), -15)
            cause = "signalled"
        self._attempts[lease.id] = plan
        state = "pending"
        if now >= plan.starts_at:
            state = "running"
        if now >= plan.ends_at:
            state = "ended"
        if self._told.get(lease.id) == state and state != "running":
            return None
        if state == "running" and now - self._synced_at < POLL_MS and lease.id in self._told:
            return (
                None
                if self._told[lease.id] == "running"
                else self._body(lease, plan, state, now, cause)
            )
        return self._body(lease, plan, state, now, cause)

    def _body(
        self, lease: Lease, plan: Attempt, state: str, now: int, cause: str
    ) -> tuple[int, str, dict[str, Any]]:
        ran_ms = max(0, min(now, plan.ends_at) - plan.starts_at)
        is_over = state == "ended"
        body = {
            "lease": encode("lease", lease.id),
            "token": lease.token,
            "state": state,
            "cause": cause if is_over else "none",
            "exit_code": plan.exit_code if is_over and plan.exit_code >= 0 else None,
            "signal": -plan.exit_code if is_over and plan.exit_code < 0 else None,
            "started_at": plan.starts_at,
            "ran_ms": ran_ms,
            "cpu_ms": ran_ms * lease.cpus_milli // MILLI,
            "memory_peak_bytes": lease.memory_bytes // 2,
            "files": [],
        }
        return lease.id, state, body


def work_ms_of(request: Request, index: int) -> int:
    """Return what a task takes on a reference unit: its value WORK_MS, else the expected time."""
    values = dict(request.values[index]) if request.values else {}
    if "WORK_MS" in values:
        return int(values["WORK_MS"])
    return (request.expected_s or request.time_limit_s) * MILLI
