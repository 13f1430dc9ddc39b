"""Replay of jobs that may be paused: a round at each event, in which all are placed anew.

It has no rule of its own: who goes first is `placement.pausing`'s word and who fits where that of
`placement.fill`. What is here is time: jobs come, make headway while they run, and end. Its slow
twin is in tests/simulator/test_preemptive.py.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from intertie.placement.fill import fill
from intertie.placement.given import (
    FIRST_FIT,
    LARGEST,
    Ints,
    Jobs,
    Kins,
    Places,
    Releases,
)
from intertie.placement.keeping import nothing_kept
from intertie.placement.pausing import (
    LAS,
    MOST_SERVICE,
    ORDERS,
    Pausable,
    keys,
    levels,
    time_to_level,
)
from intertie.placement.shares import flat
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.traces.muri import PausableTrace
from intertie.simulator.traces.trace import BadTrace

US = 1_000_000  # microseconds of a second
# Tiresias as published with its simulator: levels end at so many device-seconds.
LIMITS_US = np.array([3250 * US, 7200 * US], np.int64)
# Chosen on ITP's clusters: `python -m benchmarks.quality.patience`.
PATIENCE_US = 60 * 86_400 * US


@dataclass(frozen=True)
class Paused:
    """When each job first started and when it ended, and how often it was paused; axes [job]."""

    start_us: Ints
    end_us: Ints
    pauses: Ints


def run(order: str, trace: PausableTrace, setting: Setting) -> Outcome:
    """Return the outcome of a trace on `setting.capacity` units, in nodes of the trace's size."""
    found = replay(trace, setting.capacity or trace.capacity, order)
    submit_us = trace.submit_ms * 1000
    jct_s = (found.end_us - submit_us) / US
    least_s = np.maximum(trace.work_us / US, 10)
    measures = {
        "jobs": float(len(trace)),
        "wait_mean_s": float((found.start_us - submit_us).mean()) / US,
        "jct_mean_s": float(jct_s.mean()),
        "jct_p99_s": float(np.percentile(jct_s, 99)),
        "jct_p99_above_s": float(np.percentile(jct_s, 99, method="higher")),
        "jct_max_s": float(jct_s.max()),
        "ave_bsld": float(np.maximum(1.0, jct_s / least_s).mean()),
        "makespan_s": float(found.end_us.max() - submit_us.min()) / US,
        "pauses": float(found.pauses.sum()),
    }
    ends = -(-found.end_us // 1000)
    columns = {
        "submit_ms": trace.submit_ms,
        "start_ms": found.start_us // 1000,
        "end_ms": ends,
        "pauses": found.pauses,
    }
    return Outcome(measures, columns)


def replay(
    trace: PausableTrace, capacity: int, order: str, patience_us: int = PATIENCE_US
) -> Paused:
    """Return what became of each job; BadTrace if one is larger than the machine.

    Ends exactly at an instant are taken before who comes at it, and one round serves both.
    """
    cluster = _Cluster(trace, capacity, ORDERS.index(order), patience_us)
    submit, came, jobs = trace.submit_ms * 1000, 0, len(trace)
    while came < jobs or cluster.live.size:
        now = min(cluster.next_at(), int(submit[came]) if came < jobs else LARGEST)
        cluster.pass_time(now)
        coming = came + int(np.searchsorted(submit[came:], now, "right"))
        cluster.come(np.arange(came, coming))
        came = coming
        cluster.round()
    return Paused(cluster.start, cluster.end, cluster.pauses)


class _Cluster:
    """What is there at one instant, in microseconds; columns by job, `live` in their last order."""

    def __init__(self, trace: PausableTrace, capacity: int, order: int, patience: int) -> None:
        if (largest := int(trace.units.max())) > capacity:
            raise BadTrace(f"a job asks for {largest} units of {capacity}: give at least {largest}")
        if int((trace.work_us * trace.units).max()) >= MOST_SERVICE:
            raise BadTrace("a job would hold its units for longer than can be counted")
        self.trace, self.order, self.patience = trace, order, patience
        self.submit = trace.submit_ms * 1000
        self.nodes, self.per_node = -(-capacity // trace.node_units), trace.node_units
        self.capacity = capacity
        self.now, self.live = 0, np.empty(0, np.int64)
        none = np.zeros(len(trace), np.int64)
        self.left, self.served, self.level = trace.work_us.copy(), none.copy(), none.copy()
        self.runs, self.pauses = none.copy(), none.copy()
        self.start, self.end = none - 1, none - 1

    def next_at(self) -> int:
        """Return when the next of those who run ends or comes to another level."""
        running = self.live[self.runs[self.live] == 1]
        if not running.size:
            return LARGEST
        steps = self.left[running]
        if self.order == LAS:
            jumps = time_to_level(self._told(running), LIMITS_US)
            steps = np.minimum(steps, np.where(jumps > 0, jumps, LARGEST))
        return self.now + int(steps.min())

    def pass_time(self, now: int) -> None:
        """Let those who run make headway until `now`; who has no more to do ends there."""
        running = self.live[self.runs[self.live] == 1]
        elapsed = now - self.now
        ended = running[self.left[running] == elapsed]
        self.left[running] -= np.maximum(0, elapsed - self.trace.restart_us[running])
        self.served[running] += elapsed
        self.end[ended], self.runs[ended], self.left[ended] = now, 0, 0
        self.live = self.live[self.end[self.live] < 0]
        self.now = now

    def come(self, jobs: Ints) -> None:
        """Let jobs stand behind those who are there."""
        self.live = np.concatenate([self.live, jobs])

    def round(self) -> None:
        """Place everybody anew, in the policy's order; who finds no room now is paused."""
        told = self._told(self.live)
        order = np.argsort(keys(self.order, told, self.patience, LIMITS_US), kind="stable")
        self.level[self.live] = levels(told, LIMITS_US)
        self.live = self.live[order]
        runs = self._placed(self.trace.units[self.live])
        was = self.runs[self.live] == 1
        self.pauses[self.live[was & ~runs]] += 1
        begun = self.live[runs & (self.start[self.live] < 0)]
        self.start[begun] = self.now
        self.runs[self.live] = runs

    def _placed(self, units: Ints) -> NDArray[np.bool_]:
        """Return who of a queue finds room on empty nodes; axes [job]."""
        runs = np.zeros(len(units), np.bool_)
        if not len(units):
            return runs
        sizes, kin = np.unique(units, return_inverse=True)
        tasks = -(-sizes // self.per_node)
        need = np.minimum(sizes, self.per_node).reshape(-1, 1)
        none = np.zeros(len(sizes), np.int64)
        kins = Kins(need, none, none.reshape(-1, 1), none.reshape(-1, 1), none, none + 1, none)
        kin = kin.reshape(-1).astype(np.int64)
        each = np.full(len(units), LARGEST)
        whole = np.full((self.nodes, 1), self.per_node, np.int64)
        traits, lent = np.zeros((self.nodes, 3), np.int64), np.array([[self.capacity]])
        places = Places(whole.copy(), whole, traits, lent)
        one = np.zeros(1, np.int64)
        payers = flat(one.copy(), one + 1, one + LARGEST, np.arange(len(units)), len(sizes))
        releases = Releases(one[:0], one[:0], np.empty((0, 1), np.int64), one[:0])
        jobs = Jobs(kin, tasks[kin], each, each)
        rows, _ = fill(jobs, kins, places, payers, releases, nothing_kept(places), FIRST_FIT)
        runs[rows] = True
        return runs

    def _told(self, jobs: Ints) -> Pausable:
        return Pausable(
            self.left[jobs],
            self.served[jobs],
            self.trace.units[jobs],
            self.now - self.submit[jobs],
            self.level[jobs],
            self.runs[jobs],
        )


POLICIES = tuple(SimulatedPolicy(name, PausableTrace, partial(run, name)) for name in ORDERS)
