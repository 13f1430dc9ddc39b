"""Replay: a trace on a virtual clock through the place step's own kernel, as one compiled loop.

It has no rule of its own: who is placed, where and behind whom is `placement.fill`'s word. What is
here is time: jobs come, run as long as they did, and give back what they held. Its slow twin, one
event after another in plain Python, is in tests/unit/test_replay.py.
"""

import heapq
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from intertie.placement.fill import fill, nothing_kept
from intertie.placement.given import (
    BACKFILLS,
    LARGEST,
    NO_TRADE,
    POOL,
    Ints,
    Jobs,
    Kins,
    Payers,
    Places,
    Releases,
)
from intertie.simulator.traces.trace import BadTrace, Trace


@dataclass(frozen=True)
class ReplayPolicy:
    """How a replay decides: who may go before the first that finds no room, on what lengths.

    `is_perfect`: lengths are what jobs will take, else what their users asked for.
    `is_by_event`: a round after each single event, else one for all events of an instant.
    """

    backfill: str = "easy"
    is_perfect: bool = False
    is_by_event: bool = True


def replay(trace: Trace, capacity: int, policy: ReplayPolicy) -> Ints:
    """Return when each job started, in milliseconds; axes [job].

    One machine of `capacity` units holds them all. BadTrace if a job is larger than that.
    """
    alone = replace(trace, home=np.zeros(len(trace), np.int64))
    return replay_together(alone, [capacity], np.zeros((1, 1), np.int64), policy)[0]


def replay_together(
    trace: Trace, capacity: list[int], rank: Ints, policy: ReplayPolicy
) -> tuple[Ints, Ints]:
    """Return when and at which cluster each job started; axes [job].

    Each cluster is one machine of so many units. rank[home, cluster] is where the jobs of a home
    would rather go, the lowest first, and NO_TRADE where they may not. BadTrace if a job fits
    nowhere that it may go.
    """
    by_shape = np.stack([trace.units, trace.home])
    shapes, kin = np.unique(by_shape, axis=1, return_inverse=True)
    units, own = shapes
    whole = np.array(capacity, np.int64).reshape(-1, 1)
    may = rank[own] != NO_TRADE
    if too_large := np.flatnonzero(~(may & (whole[:, 0] >= units[:, None])).any(axis=1)).tolist():
        largest, most = int(units[too_large].max()), int(whole.max())
        raise BadTrace(f"a job asks for {largest} units of {most}: give at least {largest}")
    none, free_of_charge = np.zeros(len(units), np.int64), np.zeros_like(rank[own])
    kins = Kins(units.reshape(-1, 1).copy(), none, rank[own], free_of_charge, none, none, none)
    traits = np.zeros((len(capacity), 3), np.int64)
    traits[:, POOL] = np.arange(len(capacity))
    places = Places(whole.copy(), whole, traits, whole.copy())
    return _replay(
        trace.submit_ms,
        trace.run_ms,
        trace.run_ms if policy.is_perfect else trace.length_ms,
        kin.reshape(-1).astype(np.int64),
        kins,
        places,
        BACKFILLS.index(policy.backfill),
        policy.is_by_event,
    )


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _replay(
    submit: Ints,
    run: Ints,
    length: Ints,
    kin: Ints,
    kins: Kins,
    places: Places,
    backfill: int,
    is_by_event: bool,
) -> tuple[Ints, Ints]:
    """Return the starts and the nodes; axes [job] throughout, jobs by submission.

    At one instant those who come are taken before those who end, and those in the order of their
    starts; whoever ends exactly as expected has ended before all of them.
    """
    jobs = submit.shape[0]
    start, node = np.full(jobs, -1, np.int64), np.empty(jobs, np.int64)
    waiting, running = np.empty(jobs, np.int64), np.empty(jobs, np.int64)
    queued, runs, came, begun = 0, 0, 0, 0
    ends = [(LARGEST, 0, 0)]
    while came < jobs or ends[0][0] < LARGEST:
        now = min(ends[0][0], submit[came] if came < jobs else LARGEST)
        runs = _end_as_expected(now, start, run, length, kin, node, kins, places, running, runs)
        is_over = False
        while not is_over:
            if came < jobs and submit[came] == now:
                waiting[queued] = came
                came, queued = came + 1, queued + 1
            else:
                _, _, job = heapq.heappop(ends)
                runs = _end(job, kin, node, kins, places, running, runs)
            is_over = ends[0][0] != now and (came == jobs or submit[came] != now)
            if queued and (is_over or is_by_event):
                rows, nodes = _round(
                    now,
                    waiting[:queued],
                    running[:runs],
                    start,
                    length,
                    kin,
                    node,
                    kins,
                    places,
                    backfill,
                )
                for at in range(rows.shape[0]):
                    job = waiting[rows[at]]
                    start[job], node[job] = now, nodes[at]
                    running[runs] = job
                    runs, begun = runs + 1, begun + 1
                    heapq.heappush(ends, (now + run[job], begun, job))
                queued = _drop_started(waiting, queued, start)
                is_over = ends[0][0] != now and (came == jobs or submit[came] != now)
    return start, node


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _round(
    now: int,
    waiting: Ints,
    running: Ints,
    start: Ints,
    length: Ints,
    kin: Ints,
    node: Ints,
    kins: Kins,
    places: Places,
    backfill: int,
) -> tuple[Ints, Ints]:
    """Return (row of `waiting`, node) of each job that starts now."""
    each = np.full(waiting.shape[0], LARGEST)
    told = Jobs(kin[waiting], np.ones(waiting.shape[0], np.int64), each, length[waiting])
    due = np.maximum(0, start[running] + length[running] - now)
    releases = Releases(due, node[running], kins.need[kin[running]])
    payers = Payers(np.zeros(1, np.int64), np.ones(1, np.int64), np.full(1, LARGEST))
    return fill(told, kins, places, payers, releases, nothing_kept(places), backfill)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _end_as_expected(
    now: int,
    start: Ints,
    run: Ints,
    length: Ints,
    kin: Ints,
    node: Ints,
    kins: Kins,
    places: Places,
    running: Ints,
    runs: int,
) -> int:
    at = 0
    while at < runs:
        job = running[at]
        if start[job] + run[job] == now and start[job] + length[job] == now:
            runs = _end(job, kin, node, kins, places, running, runs)
        else:
            at += 1
    return runs


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _end(
    job: int, kin: Ints, node: Ints, kins: Kins, places: Places, running: Ints, runs: int
) -> int:
    """Give back what a job holds, unless it has been; return how many still run."""
    for at in range(runs):
        if running[at] == job:
            for later in range(at + 1, runs):
                running[later - 1] = running[later]
            there, pool = node[job], places.traits[node[job], POOL]
            for resource in range(kins.need.shape[1]):
                places.free[there, resource] += kins.need[kin[job], resource]
                places.lent[pool, resource] += kins.need[kin[job], resource]
            return runs - 1
    return runs


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _drop_started(waiting: Ints, queued: int, start: Ints) -> int:
    kept = 0
    for at in range(queued):
        if start[waiting[at]] < 0:
            waiting[kept] = waiting[at]
            kept += 1
    return kept
