"""A fake agent.

It keeps the access standard: it starts what it is told to, stops what carries an explicit stop
or has reached its own limits, and says what is new since the last sync that was answered.
"""

from dataclasses import replace
from typing import Any

from intertie.model.ids import encode
from intertie.model.lease import Lease
from intertie.model.parties import PoolFacts
from intertie.model.policy import Policy
from intertie.model.states import Cause, LeaseState
from intertie.model.units import MILLI
from intertie.run.reconciling import ALIVE
from intertie.simulator.attempts import FakeAttempt, as_it_ends, begin, cut, told_to_stop
from intertie.simulator.program import program_of
from intertie.wire.digest import digest_text, lease_mark
from intertie.world.world import World


class FakeAgent:
    """One pool's agent on the virtual clock. What runs there runs whether or not it is heard.

    A site with a queue of its own lets each task wait `queue_ms`, and says so: `waits_s` by node,
    the expected start of what is pending. One that `has_accounts` says what ran by whole seconds.
    """

    def __init__(self, pool: int, epoch: int, facts: PoolFacts, policy: Policy, now: int) -> None:
        self.pool = pool
        self.policy = policy
        self.lent_cpus_milli = facts.terms.lent_cpus_milli
        self.lent_memory_bytes = facts.terms.lent_memory_bytes
        self.lent_device_count = facts.most_devices
        self.waits_s: dict[str, int] = {}
        self.queue_ms = 0
        self.has_accounts = False
        self.is_draining = False
        self.is_silent = False
        self.is_polling = False
        self.attempts: dict[int, FakeAttempt] = {}
        self.gone: list[FakeAttempt] = []
        self.open_session(epoch, now)

    def open_session(self, epoch: int, now: int) -> None:
        """Speak under a new epoch, as an agent that was started again: everything is said anew."""
        self.epoch = epoch
        self.is_fenced_out = False
        self._sequence = 0
        self._told: dict[int, str] = {}
        self._saying: dict[int, str] = {}
        self._owner: dict[str, Any] | None = None
        self._spoke_at = now
        self._renewed_at = now
        self._renew_for_ms = self.policy.renew_for_s * MILLI

    def speak(self, now: int) -> dict[str, Any] | None:
        """Return a sync body when there is something to say or it is time to; else None."""
        self._live(now)
        if self.is_silent or self.is_fenced_out:
            return None
        owner = {
            "lent_cpus_milli": self.lent_cpus_milli,
            "lent_memory_bytes": self.lent_memory_bytes,
            "lent_device_count": self.lent_device_count,
            "is_draining": self.is_draining,
            "waits_s": dict(self.waits_s),
        }
        is_due = now >= self._due_at() or self._sequence == 0
        news = [each for each in self._by_lease() if self._is_news(each, is_due, now)]
        if not news and owner == self._owner and not is_due:
            return None
        self._sequence += 1
        self._spoke_at, self._owner = now, owner
        self._saying = {each.lease: each.state(now) for each in news}
        alive = [each for each in self._by_lease() if each.state(now) != "ended"]
        return {
            "epoch": self.epoch,
            "sequence": self._sequence,
            "digest": digest_text(sum(lease_mark(a.lease, a.token) for a in alive)),
            "leases": [_said(each, now) | self._site_says(each, now) for each in news],
            "declines": [],
            "owner": owner,
        }

    def hear(self, world: World, now: int) -> None:
        """Take the answer to the last sync: what is wanted, what must stop, what is forgotten.

        The sync is a long poll, so the answer may come in any later round.
        """
        self._live(now)
        self.is_fenced_out = world.pools.get(self.pool).epoch != self.epoch
        if self.is_fenced_out:
            return
        self._told |= self._saying
        self._renewed_at = self._spoke_at
        pool = world.pools.get(self.pool)
        self._renew_for_ms = pool.renew_for_s * MILLI
        if pool.wants_full:
            self._told.clear()
        for lease in world.leases.where(pool=self.pool):
            if lease.state in ALIVE:
                self._want(world, lease, now)
        for number in list(self.attempts):
            self._forget(world, number, now)

    def next_at(self, now: int) -> int:
        """Return the next instant after `now` at which this agent has something to say."""
        instants = [max(now + self.policy.busy_poll_ms, self._due_at())]
        if not self.is_silent:
            instants.append(self._due_at())
            for each in self._by_lease():
                instants += [each.starts_at, each.ends_at]
        return min(at for at in instants if at > now)

    def _site_says(self, each: FakeAttempt, now: int) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if self.queue_ms and each.state(now) == "pending":
            # Not as cut by a lease that ends before: that is renewed while it waits.
            said["expected_start_at"] = self.attempts[each.lease].starts_at
        if self.has_accounts and each.state(now) != "pending":
            said |= {"site_ms": each.ran_ms(now) // MILLI * MILLI, "node": f"m{each.lease}"}
        return said

    def _due_at(self) -> int:
        poll_ms = self.policy.busy_poll_ms if self.attempts else self.policy.poll_s * MILLI
        return self._spoke_at + poll_ms

    def _live(self, now: int) -> None:
        """Fix what has ended by now: no later renewal brings it back."""
        for each in self._by_lease():
            if each.ends_at <= now:
                self.attempts[each.lease] = each

    def _want(self, world: World, lease: Lease, now: int) -> None:
        running = self.attempts.get(lease.id)
        if running is None:
            running = self._begin(world, lease, now)
        if running.ends_at > now:
            running = replace(running, until=lease.until)
        if lease.state == LeaseState.STOPPING:
            running = told_to_stop(running, Cause(lease.stop_cause), lease.grace_s, now)
        self.attempts[lease.id] = running

    def _begin(self, world: World, lease: Lease, now: int) -> FakeAttempt:
        request = world.documents["request", lease.job]
        saved = world.documents.get(("checkpoint", lease.task))
        did_ms = saved.files[0].size_bytes if saved else 0
        program = program_of(request, world.tasks.get(lease.task).index)
        begun = begin(lease, request, program, did_ms, now, self.queue_ms)
        never = lease.state == LeaseState.STOPPING
        return cut(begun, now, Cause(lease.stop_cause)) if never else begun

    def _forget(self, world: World, number: int, now: int) -> None:
        """Drop what is over and booked; stop what the network has given up."""
        lease = world.leases.find(number)
        if lease is not None and lease.state in ALIVE:
            return
        ended = cut(self.attempts[number], now, Cause.SUPERSEDED)
        self.gone.append(ended)
        del self.attempts[number]
        self._told.pop(number, None)

    def _by_lease(self) -> list[FakeAttempt]:
        """Return the attempts as they end if nothing more is heard."""
        session_ends_at = self._renewed_at + self._renew_for_ms
        return [as_it_ends(each, session_ends_at) for _, each in sorted(self.attempts.items())]

    def _is_news(self, each: FakeAttempt, is_due: bool, now: int) -> bool:
        state = each.state(now)
        return self._told.get(each.lease) != state or (state == "running" and is_due)


def _said(each: FakeAttempt, now: int) -> dict[str, Any]:
    state = each.state(now)
    is_over = state == "ended"
    ran_ms = each.ran_ms(now)
    has_exited = is_over and each.cause == Cause.EXITED
    return {
        "lease": encode("lease", each.lease),
        "token": each.token,
        "state": state,
        "cause": each.cause.name.lower() if is_over else "none",
        "exit_code": each.exit_code if has_exited else None,
        "signal": 15 if is_over and not has_exited else None,
        "started_at": each.starts_at,
        "ran_ms": ran_ms,
        "cpu_ms": ran_ms * each.cpus_milli // MILLI,
        "memory_peak_bytes": each.memory_bytes // 2,
        "files": _files(each) if is_over else [],
    }


def _files(each: FakeAttempt) -> list[dict[str, Any]]:
    """A checkpoint's size says how far the work has got; that is all there is of it."""
    if not each.checkpoint or each.cause in (Cause.START_FAILED, Cause.DECLINED):
        return []
    size = each.saved_ms()
    return [{"path": each.checkpoint, "sha256": "0" * 64, "size_bytes": size, "kind": "checkpoint"}]
