"""What if: the network's own past, lived through again under another policy.

The same river on a virtual clock, with agents that run each task as long as it ran. Money is not
what is asked about: every project can pay. The heartbeat is slower than live, which decides
nothing; what is decided is decided by the river.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from intertie.model.job import Job
from intertie.model.lease import Lease
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.request import Request
from intertie.model.states import JobState, Outcome
from intertie.model.units import MICRO, MILLI
from intertie.simulator.network import SimulatedNetwork
from intertie.simulator.past import Past, PastJob, PastPool
from intertie.simulator.running import Outcome as RunOutcome
from intertie.simulator.scoreboard import evenness, waits
from intertie.simulator.traces.trace import Ints

ENOUGH_MICRO = 10**12 * MICRO
HEARTBEAT_S = 600
# When all is submitted and nothing has run for so many heartbeats, nothing will.
HEARTBEATS_IDLE = 3

Watch = Callable[[int, int], None]


def as_it_was(past: Past) -> RunOutcome:
    """Return the measures of what really happened."""
    return _outcome(past, {job.id: (job.started_at, job.ended_at) for job in past.jobs}, 0)


def what_if(past: Past, policy: Policy, watch: Watch = lambda done, total: None) -> RunOutcome:
    """Return the measures of the same past under a policy; `watch` is told (done, all) jobs.

    The same past and policy give the same outcome, bit by bit.
    """
    return _Again(past, policy, watch).run()


class _Again:
    """One run: who is who in the network that lives through it, and what became of each job."""

    def __init__(self, past: Past, policy: Policy, watch: Watch) -> None:
        self.past, self.watch = past, watch
        self.network = SimulatedNetwork(slowed(policy), past.since)
        self.projects = {
            number: self.network.create("project", f"p{number}", ENOUGH_MICRO, weight)
            for number, weight in sorted(past.weights.items())
        }
        self._set_shares()
        providers = sorted({pool.provider for pool in past.pools})
        self.providers = {n: self.network.create("provider", f"q{n}") for n in providers}
        self.pools: dict[int, int] = {}
        self.jobs: dict[int, int] = {}
        self.spans: dict[int, tuple[int, int]] = {}
        self.refused = 0

    def run(self) -> RunOutcome:
        pools = self.past.pools
        moments = [(pool.from_at, 0, partial(self._join, pool)) for pool in pools]
        moments += [(p.until_at, 1, partial(self._leave, p)) for p in pools if p.until_at]
        moments += [(job.submitted_at, 2, partial(self._submit, job)) for job in self.past.jobs]
        for at, _, act in sorted(moments, key=lambda each: each[:2]):
            self._until(max(at, self.network.now))
            act()
        idle = 0
        while self._running() and idle < HEARTBEATS_IDLE:
            self._until(self.network.now + HEARTBEAT_S * MILLI)
            runs = any(agent.attempts for agent in self.network.agents.values())
            idle = 0 if runs else idle + 1
        return _outcome(
            self.past,
            {old: self.spans.get(new, (0, 0)) for old, new in self.jobs.items()},
            self.refused,
        )

    def _set_shares(self) -> None:
        """Let everybody stand in the share tree as they stood, cohorts inside others too."""
        cohorts = {share.id: share for share in self.past.shares if share.kind == "cohort"}
        known = {0: 0}
        for number in sorted(cohorts):
            body = {"name": f"c{number}", "parent": 0, "weight": 1, "floor_ppm": 0}
            known[number] = self.network.ask("cohort", 0, body).values["cohort"]
        for share in self.past.shares:
            member = (known if share.kind == "cohort" else self.projects)[share.id]
            body = {"kind": share.kind, "number": member, "parent": known[share.parent]}
            body |= {"weight": share.weight, "floor_ppm": share.floor_ppm}
            limits = [to_plain(limit) for limit in share.limits]
            self.network.ask("share", 0, body | {"limits": limits})

    def _until(self, at: int) -> None:
        self.network.run_until(at)
        self._look()

    def _look(self) -> None:
        """Note from what was decided when jobs began and ended, and forget the decisions."""
        for changes in self.network.changes:
            for row in changes.rows.values():
                if isinstance(row, Lease) and row.started_at:
                    start, end = self.spans.get(row.job, (row.started_at, 0))
                    self.spans[row.job] = (min(start, row.started_at), end)
                elif isinstance(row, Job) and row.state >= JobState.ENDED:
                    start, _ = self.spans.get(row.id, (0, 0))
                    self.spans[row.id] = (start, row.ended_at if row.outcome != Outcome.NONE else 0)
        self.network.forget()
        self.watch(sum(end > 0 for _, end in self.spans.values()), len(self.past.jobs))

    def _join(self, pool: PastPool) -> None:
        joined = self.network.join(self.providers[pool.provider], pool.facts, f"key{pool.id}")
        self.pools[pool.id] = joined

    def _leave(self, pool: PastPool) -> None:
        self.network.agents[self.pools[pool.id]].is_draining = True

    def _submit(self, job: PastJob) -> None:
        asked = again(job, self.jobs)
        made = self.network.submit(self.projects[job.project], asked)
        self._look()
        if isinstance(made, Refusal):
            self.refused += 1
        else:
            self.jobs[job.id] = made

    def _running(self) -> bool:
        return any(self.spans.get(new, (0, 0))[1] == 0 for new in self.jobs.values())


def slowed(policy: Policy) -> Policy:
    """Return a policy with a slow heartbeat and long leases: months pass in few rounds."""
    return replace(
        policy,
        poll_s=HEARTBEAT_S,
        busy_poll_ms=HEARTBEAT_S * MILLI,
        renew_for_s=4 * HEARTBEAT_S,
        lease_s=7 * 24 * 3600,
        lease_s_min=24 * 3600,
        slice_s=24 * 3600,
    )


def again(job: PastJob, jobs: dict[int, int]) -> Request:
    """Return a past job's request with each task as long as it was, in terms of today's jobs."""
    request = job.request
    given = request.values or ((),) * request.task_count
    values = tuple(
        (*pairs, ("WORK_MS", str(work))) for pairs, work in zip(given, job.work_ms, strict=True)
    )
    after = tuple(jobs[number] for number in request.after if number in jobs)
    return replace(request, values=values, after=after, quote=0, budget_micro=0)


def _outcome(past: Past, spans: dict[int, tuple[int, int]], refused: int) -> RunOutcome:
    """Return the measures of jobs by (start, end); those that never began or ended are counted."""
    done = [job for job in past.jobs if all(spans.get(job.id, (0, 0)))]
    submit = np.array([job.submitted_at for job in done], np.int64)
    start, end = (np.array([spans[job.id][at] for job in done], np.int64) for at in (0, 1))
    project = np.array([job.project for job in done], np.int64)
    measures = {"jobs": float(len(done)), "refused": float(refused)}
    measures["unfinished"] = float(len(past.jobs) - len(done) - refused)
    if done:
        measures |= waits(submit, start, end)
        measures |= evenness(project, _area(done), submit, start, end)
    columns = {"submit_ms": submit, "start_ms": start, "end_ms": end, "project": project}
    return RunOutcome(measures, columns)


def _area(jobs: list[PastJob]) -> Ints:
    """Return the devices, or else the cores, that each job holds at once."""
    found = []
    for job in jobs:
        need = job.request.resources
        one = need.device_count or max(1, need.cpus_milli // MILLI)
        found.append(one * job.request.task_count)
    return np.array(found, np.int64)
