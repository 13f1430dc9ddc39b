"""Replay of jobs with deadlines that may run at several sizes, on one cluster or on several.

It has no rule of its own: who is admitted, at what size each runs and who gets what is left are the
words of `placement.elastic`. What is here is time: jobs come, do their work, and end.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from intertie.model.refusal import Refusal
from intertie.placement.elastic import (
    NO_ROOM,
    NONE,
    Elastic,
    Profile,
    Sizes,
    all_free,
    fit,
    grow,
    largest_first,
    promise,
    refusal,
)
from intertie.placement.given import LARGEST, Ints
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.traces.deadlines import DeadlineTrace
from intertie.simulator.traces.trace import BadTrace


@dataclass(frozen=True)
class ElasticPolicy:
    """How a replay decides.

    `sizes`: at which sizes jobs may run: all "measured", only "useful" ones (up to that at which
    they are fastest), or as "asked". `is_promised`: who cannot be done in time is refused, else all
    run, the nearest deadline first at the largest size. `slot_ms`: rounds are at least so far
    apart, and whoever came between two is admitted or refused together. `is_anew`: all is planned
    anew by deadline whenever somebody asks, else only where what is promised leaves no room.
    `margin_ms`: promises are planned to be kept so much earlier. `are_starts_free`: changing a size
    costs nothing.
    """

    sizes: str = "useful"
    is_promised: bool = True
    slot_ms: int = 0
    is_anew: bool = False
    margin_ms: int = 0
    are_starts_free: bool = False


# A start that was not planned costs at most this (ours may be resized again before it is done).
MARGIN_MS = 20_000
NAMED = {
    # As published with ElasticFlow: no promises, no cost of starts, rounds a minute apart.
    "edf": ElasticPolicy("measured", is_promised=False, slot_ms=60_000, are_starts_free=True),
    "edf-useful": ElasticPolicy(is_promised=False, are_starts_free=True),
    "elasticflow": ElasticPolicy(slot_ms=60_000, is_anew=True),
    "elastic": ElasticPolicy(margin_ms=MARGIN_MS),
    "elastic-rigid": ElasticPolicy("asked", are_starts_free=True),
}


@dataclass(frozen=True)
class Ended:
    """What became of each job; axes [job]; -1 where it was refused or did not run.

    Where nothing is promised everybody is admitted.
    """

    start_ms: Ints
    end_ms: Ints
    is_admitted: NDArray[np.bool_]
    resizes: Ints
    refusals: dict[int, Refusal]
    is_promised: bool


def run(name: str, trace: DeadlineTrace, setting: Setting) -> Outcome:
    """Return the outcome of a trace on one cluster of `setting.capacity` units."""
    capacity = setting.capacity or trace.capacity
    if not capacity:
        raise BadTrace("the trace does not say how large its machine was: add --capacity")
    return told(trace, replay([trace], [capacity], NAMED[name])[0])


def told(trace: DeadlineTrace, found: Ended) -> Outcome:
    """Return the measures of a replay, and its jobs."""
    is_met = (found.end_ms >= 0) & (found.end_ms <= trace.deadline_ms)
    window = trace.deadline_ms - trace.submit_ms
    measures = {
        "jobs": float(len(trace)),
        "met_share": float(is_met.mean()),
        "could_alone_share": float((trace.rate.max(axis=1) * window >= trace.work).mean()),
        "could_as_asked_share": float((trace.run_ms <= window).mean()),
        "resizes": float(found.resizes.sum()),
    }
    if found.is_promised:
        codes = [each.code for each in found.refusals.values()]
        admitted = max(1, int(found.is_admitted.sum()))
        measures |= {
            "admitted_share": float(found.is_admitted.mean()),
            "kept_share": float((is_met & found.is_admitted).sum()) / admitted,
            "refused_too_soon": float(codes.count("deadline_too_soon")),
            "refused_no_room": float(codes.count("promised_to_others")),
        }
    columns = {
        "submit_ms": trace.submit_ms,
        "start_ms": found.start_ms,
        "end_ms": found.end_ms,
        "deadline_ms": trace.deadline_ms,
        "is_admitted": found.is_admitted.astype(np.int64),
    }
    return Outcome(measures, columns)


def replay(traces: list[DeadlineTrace], capacity: list[int], policy: ElasticPolicy) -> list[Ended]:
    """Return what became of each cluster's jobs, each cluster of so many units.

    A job that its own cluster refuses asks the others, that with the most promised to nobody first.
    """
    clusters = [_Cluster(each, trace, policy) for each, trace in zip(capacity, traces, strict=True)]
    books = [_Book(trace, policy, each) for trace, each in zip(traces, capacity, strict=True)]
    while True:
        instants = [
            cluster.not_before(min(cluster.next_at(), book.next_at()))
            for cluster, book in zip(clusters, books, strict=True)
        ]
        now = min(instants)
        if now == LARGEST:
            break
        due = [home for home, at in enumerate(instants) if at == now]
        for home in due:
            clusters[home].pass_time(now)
        for home in due:
            jobs = books[home].until(now)
            for group in [jobs] if policy.slot_ms else [[job] for job in jobs]:
                _ask(books[home], group, home, clusters, now)
        for cluster in clusters:
            if cluster.now == now:
                cluster.round()
    return [book.ended() for book in books]


def _ask(book: "_Book", group: list[int], home: int, clusters: list["_Cluster"], now: int) -> None:
    """Ask the home first and then the others whether they take all of a group."""
    refused = clusters[home].take(book, group) if group else {}
    book.refusals.update(refused)
    if refused:
        others = [cluster for at, cluster in enumerate(clusters) if at != home]
        for cluster in others:
            cluster.pass_time(now)
        for cluster in sorted(others, key=lambda each: -each.unpromised()):
            refused = refused and cluster.take(book, group)
    book.is_admitted[group] = not refused


class _Book:
    """The jobs of one trace, by submission, and what became of them."""

    def __init__(self, trace: DeadlineTrace, policy: ElasticPolicy, capacity: int) -> None:
        self.trace, self.came = trace, 0
        self.rate, self.is_promised = _rates(trace, policy.sizes), policy.is_promised
        if (largest := int(_least(self.rate, trace.units_of).max())) > capacity:
            raise BadTrace(f"a job asks for {largest} units of {capacity}: give at least {largest}")
        none = np.zeros(len(trace), np.int64)
        self.start, self.end, self.resizes = none - 1, none - 1, none.copy()
        self.is_admitted = np.zeros(len(trace), np.bool_)
        self.refusals: dict[int, Refusal] = {}

    def next_at(self) -> int:
        """Return when the next job comes."""
        submit = self.trace.submit_ms
        return int(submit[self.came]) if self.came < len(submit) else LARGEST

    def until(self, now: int) -> list[int]:
        """Return who came until now and was not told of yet."""
        begin = self.came
        self.came += int(np.searchsorted(self.trace.submit_ms[begin:], now, "right"))
        return list(range(begin, self.came))

    def ended(self) -> Ended:
        refusals = {job: told for job, told in self.refusals.items() if not self.is_admitted[job]}
        found = self.start, self.end, self.is_admitted, self.resizes
        return Ended(*found, refusals, self.is_promised)


def _rates(trace: DeadlineTrace, sizes: str) -> Ints:
    """Return at which sizes jobs run under a policy, and how fast; axes [job, size]."""
    column = np.arange(len(trace.units_of))
    if sizes == "measured":
        return trace.rate
    if sizes == "useful":
        fastest: Ints = trace.rate.argmax(axis=1)
        return np.where(column <= fastest[:, None], trace.rate, 0)
    is_asked = trace.units_of == trace.units[:, None]
    if not is_asked.any(axis=1).all():
        raise BadTrace(f"jobs ask for other sizes than {trace.units_of.tolist()}")
    return np.where(is_asked, -(-trace.work // trace.run_ms)[:, None], 0)


def _least(rate: Ints, units_of: Ints) -> Ints:
    """Return the fewest units with which each job runs at all; axes [job]."""
    smallest: Ints = units_of[(rate > 0).argmax(axis=1)]
    return smallest


class _Cluster:
    """One cluster at one instant; columns by job that is there, by deadline."""

    def __init__(self, capacity: int, trace: DeadlineTrace, policy: ElasticPolicy) -> None:
        self.capacity, self.policy = capacity, policy
        start = np.zeros_like(trace.starts_ms) if policy.are_starts_free else trace.starts_ms
        self.sizes = Sizes(trace.units_of, start)
        self.now, self.round_at, self.wake_at = 0, -LARGEST, LARGEST
        none = np.empty(0, np.int64)
        self.left, self.until, self.size, self.share, self.stall = (none.copy() for _ in range(5))
        self.rate = np.empty((0, len(trace.units_of)), np.int64)
        self.owners: list[tuple[_Book, int]] = []
        self.profile = all_free(0, capacity, 0)

    def not_before(self, at: int) -> int:
        """Return the instant of a round that wants to be at one, as slots allow."""
        return at if at == LARGEST else max(at, self.round_at + self.policy.slot_ms)

    def next_at(self) -> int:
        """Return when the next job ends, or another size is due by what was promised."""
        return min(self.wake_at, int(_next_end(self.told(), self.stall, self.now)))

    def unpromised(self) -> int:
        """Return how many units nobody needs now."""
        return self.capacity - int(self.sizes.units[self.share[self.share >= 0]].sum())

    def told(self) -> Elastic:
        return Elastic(self.left, self.until, self.rate, self.size)

    def pass_time(self, now: int) -> None:
        """Let those who run do their work until `now`; who has done it has ended when it had."""
        if now == self.now:
            return
        over = _work(self.told(), self.stall, now - self.now)
        self.now = now
        ended = np.flatnonzero(self.left <= 0)
        for row in ended.tolist():
            book, job = self.owners[row]
            book.end[job] = now - over[row]
        if ended.size:
            self.owners = [each for row, each in enumerate(self.owners) if self.left[row] > 0]
            kept = self.left > 0
            self._put(*(column[kept] for column in self._columns()))
        if now >= self.wake_at or self.policy.is_anew:
            self._promise_again()
        self.profile.at[0] = now

    def take(self, book: _Book, group: list[int]) -> dict[int, Refusal]:
        """Take all of a group or none; return why not, by job, and nothing where they are taken."""
        rows, columns = self._with(book, group)
        if not self.policy.is_promised:
            self._accept(rows, columns, book, group)
            return {}
        jobs, found = Elastic(*columns[:4]), NO_ROOM
        if not self.policy.is_anew:
            assert len(group) == 1, "what is asked together is planned anew"
            if self.profile.steps[0] + 2 > len(self.profile.at):
                self.profile = _longer(self.profile, len(self.left))
            found = fit(jobs, rows[0], self.sizes, self.profile)
            columns[4][rows[0]] = found
        if found == NO_ROOM:
            profile, share = all_free(self.now, self.capacity, len(jobs.left)), columns[4]
            order = np.arange(len(jobs.left))
            if promise(_behind(jobs, columns[5]), order, self.sizes, profile, share, True):
                self.profile, found = profile, NONE
        if found < NONE:
            return {
                job: refusal(jobs, row, self.sizes, self.profile, found)
                for row, job in zip(rows, group, strict=True)
            }
        self._accept(rows, columns, book, group)
        return {}

    def round(self) -> None:
        """Give each its size: what it was promised, and what is left where it brings most."""
        jobs, share = self.told(), self.share.copy()
        if not self.policy.is_promised:
            largest_first(jobs, self.sizes, share, self.capacity)
        else:
            grow(jobs, self.sizes, share, self.unpromised())
        for row in np.flatnonzero(share != self.size).tolist():
            book, job = self.owners[row]
            if book.start[job] < 0 and share[row] >= 0:
                book.start[job] = self.now
            book.resizes[job] += 1
            self.stall[row] = self.sizes.start[share[row]] if share[row] >= 0 else 0
        self.size, self.round_at = share, self.now
        assert self.sizes.units[share[share >= 0]].sum() <= self.capacity, "more runs than there is"
        steps, at = int(self.profile.steps[0]), self.profile.at
        self.wake_at = int(at[1]) if self.policy.is_promised and steps > 1 else LARGEST

    def _promise_again(self) -> None:
        self.profile = all_free(self.now, self.capacity, len(self.left))
        order, jobs = np.arange(len(self.left)), _behind(self.told(), self.stall)
        promise(jobs, order, self.sizes, self.profile, self.share, False)

    def _with(self, book: _Book, group: list[int]) -> tuple[list[int], list[Ints]]:
        """Return the rows of a group among those who are there, and all columns with them."""
        until = book.trace.deadline_ms[group] - self.policy.margin_ms
        order = np.argsort(until, kind="stable")
        ordered = np.array(group)[order]
        at = np.searchsorted(self.until, until[order], "right")
        fresh = (
            book.trace.work[ordered],
            until[order],
            book.rate[ordered],
            np.full(len(group), NONE),
            np.full(len(group), NONE),
            np.zeros(len(group), np.int64),
        )
        columns = [
            np.insert(old, at, new, axis=0) for old, new in zip(self._columns(), fresh, strict=True)
        ]
        rows = np.empty(len(group), np.int64)
        rows[order] = at + np.arange(len(group))
        return rows.tolist(), columns

    def _accept(self, rows: list[int], columns: list[Ints], book: _Book, group: list[int]) -> None:
        self._put(*columns)
        for row, job in sorted(zip(rows, group, strict=True)):
            self.owners.insert(row, (book, job))

    def _columns(self) -> tuple[Ints, ...]:
        return self.left, self.until, self.rate, self.size, self.share, self.stall

    def _put(
        self, left: Ints, until: Ints, rate: Ints, size: Ints, share: Ints, stall: Ints
    ) -> None:
        self.left, self.until, self.rate = left, until, rate
        self.size, self.share, self.stall = size, share, stall


def _behind(jobs: Elastic, stall: Ints) -> Elastic:
    """Return the jobs with what a start that still goes on costs them counted as work."""
    runs = np.take_along_axis(jobs.rate, np.maximum(jobs.size, 0)[:, None], axis=1)[:, 0]
    return jobs._replace(left=jobs.left + stall * runs)


def _longer(profile: Profile, jobs: int) -> Profile:
    longer = all_free(0, 0, 2 * len(profile.at) + jobs)
    longer.at[: len(profile.at)], longer.free[: len(profile.at)] = profile.at, profile.free
    return Profile(longer.at, longer.free, profile.steps)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_end(jobs: Elastic, stall: Ints, now: int) -> int:
    found = LARGEST
    for job in range(stall.shape[0]):
        if jobs.size[job] >= 0:
            rate = jobs.rate[job, jobs.size[job]]
            found = min(found, now + stall[job] + (jobs.left[job] + rate - 1) // rate)
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _work(jobs: Elastic, stall: Ints, elapsed: int) -> Ints:
    """Do what each does in a time; return how much earlier it had done all of it; axes [job]."""
    over = np.zeros(stall.shape[0], np.int64)
    for job in range(stall.shape[0]):
        if jobs.size[job] >= 0:
            stalls = min(stall[job], elapsed)
            stall[job] -= stalls
            rate = jobs.rate[job, jobs.size[job]]
            jobs.left[job] -= rate * (elapsed - stalls)
            over[job] = max(0, -jobs.left[job]) // rate
    return over


POLICIES = tuple(SimulatedPolicy(name, DeadlineTrace, partial(run, name)) for name in NAMED)
