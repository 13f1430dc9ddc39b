"""Federation: several clusters whose owners come first at home, on a virtual clock.

It has no rule of its own: who of an owner's jobs starts as if he were alone, and who is placed
behind them, is `placement.fill`'s word, who is ended so that an owner's job may start
`placement.preempting`'s. What is here is time: data travel, guests are given grace, keep what they
saved and wait again.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from intertie.placement.fill import fill
from intertie.placement.given import (
    LARGEST,
    NO_TRADE,
    Ints,
    Jobs,
    Kins,
    Payers,
    Places,
    Releases,
)
from intertie.placement.keeping import nothing_kept
from intertie.placement.preempting import (
    LOSS_MAX,
    NOW,
    Claims,
    Guests,
    claim,
    take_back,
    with_leaving,
    without_guests,
)
from intertie.placement.shares import flat
from intertie.simulator.tide import (
    ABSENT,
    BEGUN,
    CAME,
    ENDING,
    RUNNING,
    WAITING,
    Tide,
    Work,
    await_end,
    insert,
    next_end,
    remove,
    take_end,
)

S = 1000
# Use fades in whole steps of half_life / 1024, as `cycle.shares` lets it; in parts of 2 ** 24.
STEPS, FADES, FADE_BITS = 1024, 11_353, 24


class Union(NamedTuple):
    """What the clusters agreed on. Times in milliseconds.

    home[job], size[job, unit]. `own` are the kins as owners at home; delay[kin, cluster] is for how
    long data travel before a job begins. Each cluster's `grace`, its weight in the fair share, the
    most that is `lent` to guests at once, and when it opens to them and shuts: at[change],
    cluster[change], is_open[change]. Guests save their work each `interval`, and never where it is
    0. Use halves in `half_life`.
    """

    home: Ints
    size: Ints
    own: Kins
    delay: Ints
    grace: Ints
    weight: Ints
    lent: Ints
    at: Ints
    cluster: Ints
    is_open: Ints
    interval: int
    half_life: int


class Fate(NamedTuple):
    """What became of each job; axes [job], times in milliseconds, work in unit-milliseconds.

    `done` when it ended, `evictions` how often it was ended for an owner, `lost` the work that it
    did again, `lent` what it used at clusters of others; whether it `leaves` just now.
    """

    done: Ints
    evictions: Ints
    lost: Ints
    lent: Ints
    leaves: NDArray[np.bool_]


class Books(NamedTuple):
    """Each home's fading use in unit-seconds, how many units it holds, up to when it is counted.

    `is_shut`[cluster] where no guest may come; `changes` were made of those that are due.
    """

    used: Ints
    holds: Ints
    counted: Ints
    is_shut: NDArray[np.bool_]
    changes: Ints


def nothing_yet(jobs: int, clusters: int) -> tuple[Fate, Books]:
    """Return what became of so many jobs, and the books of so many homes, before the first came."""
    evictions, lost, lent = np.zeros((3, jobs), np.int64)
    fate = Fate(np.full(jobs, ABSENT), evictions, lost, lent, np.zeros(jobs, np.bool_))
    used, holds = np.zeros((2, clusters), np.int64)
    counted, changes = np.zeros((2, 1), np.int64)
    return fate, Books(used, holds, counted, np.zeros(clusters, np.bool_), changes)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def live_together(
    work: Work,
    tide: Tide,
    kins: Kins,
    places: Places,
    union: Union,
    books: Books,
    fate: Fate,
    backfill: int,
) -> None:
    """Let all jobs come, move, give way and end; what becomes of them is written into `fate`.

    One round for all that happens at an instant. `work.run` is what is left of each to do.
    """
    jobs, rank = work.submit.shape[0], kins.rank.copy()
    now = _next_instant(work, tide, union, books)
    while now < LARGEST:
        _count_use(now, union, books)
        _open_and_shut(now, work, tide, kins, rank, union, books, fate)
        while next_end(tide, work) == now:
            _end(take_end(tide, work), now, work, tide, places, union, books, fate)
        while tide.counts[CAME] < jobs and work.submit[tide.counts[CAME]] == now:
            job = tide.counts[CAME]
            work.key[job] = work.submit[job]
            work.length[job] = work.stated[job]
            insert(tide.waiting, tide.counts[WAITING], work.key, job)
            tide.counts[CAME] += 1
            tide.counts[WAITING] += 1
        if tide.counts[WAITING]:
            _decide(now, work, tide, kins, places, union, books, fate, backfill)
        now = _next_instant(work, tide, union, books)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _next_instant(work: Work, tide: Tide, union: Union, books: Books) -> int:
    """Return when next a job comes or ends, or a window opens or shuts while one waits or runs."""
    now, came = next_end(tide, work), tide.counts[CAME]
    if came < work.submit.shape[0]:
        now = min(now, work.submit[came])
    is_over = now == LARGEST and not tide.counts[WAITING]
    if books.changes[0] < union.at.shape[0] and not is_over:
        now = min(now, union.at[books.changes[0]])
    return int(now)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _count_use(now: int, union: Union, books: Books) -> None:
    """Bring each home's use up to now, in whole seconds; it fades on the way."""
    step = max(1, union.half_life // S // STEPS)
    second = books.counted[0]
    while second < now // S:
        until = min(now // S, (second // step + 1) * step)
        for home in range(books.used.shape[0]):
            books.used[home] += books.holds[home] * (until - second)
            if until % step == 0:
                books.used[home] -= books.used[home] * FADES >> FADE_BITS
        second = until
    books.counted[0] = second


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _open_and_shut(
    now: int,
    work: Work,
    tide: Tide,
    kins: Kins,
    rank: Ints,
    union: Union,
    books: Books,
    fate: Fate,
) -> None:
    """Let guests in where a window opens; where one shuts none comes and those there are to go."""
    while books.changes[0] < union.at.shape[0] and union.at[books.changes[0]] <= now:
        cluster = union.cluster[books.changes[0]]
        books.is_shut[cluster] = not union.is_open[books.changes[0]]
        books.changes[0] += 1
        for kin in range(kins.rank.shape[0]):
            if union.own.rank[kin, cluster] == NO_TRADE:
                is_shut = books.is_shut[cluster]
                kins.rank[kin, cluster] = NO_TRADE if is_shut else rank[kin, cluster]
        if books.is_shut[cluster]:
            for job in tide.running[: tide.counts[RUNNING]].copy():
                if work.node[job] == cluster and union.home[job] != cluster:
                    _evict(job, now, work, tide, union, fate)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _evict(job: int, now: int, work: Work, tide: Tide, union: Union, fate: Fate) -> None:
    """Tell a guest to go: it is gone after the grace, unless it ends before."""
    leaves_at = now + union.grace[work.node[job]]
    if fate.leaves[job] or work.end[job] <= leaves_at:
        return
    fate.leaves[job] = True
    fate.evictions[job] += 1
    remove(tide.running, tide.counts[RUNNING], work.due, job)
    work.end[job] = work.due[job] = leaves_at
    insert(tide.running, tide.counts[RUNNING] - 1, work.due, job)
    _hasten(tide, work, job)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _hasten(tide: Tide, work: Work, job: int) -> None:
    """Move a job, which ends sooner than it was to, up the heap of ends."""
    at = 0
    while tide.ending[at] != job:
        at += 1
    count, tide.counts[ENDING] = tide.counts[ENDING], at
    await_end(tide, work, job)
    tide.counts[ENDING] = count


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _end(
    job: int,
    now: int,
    work: Work,
    tide: Tide,
    places: Places,
    union: Union,
    books: Books,
    fate: Fate,
) -> None:
    """Give back what a job holds; one that was evicted waits again with what it had saved."""
    remove(tide.running, tide.counts[RUNNING], work.due, job)
    tide.counts[RUNNING] -= 1
    node, home, units = work.node[job], union.home[job], work.units[job]
    places.free[node, 0] += units
    places.lent[node, 0] += units
    books.holds[home] -= units
    began = work.start[job] + union.delay[work.kin[job], node]
    if node != home:
        fate.lent[job] += max(0, now - began) * units
    if not fate.leaves[job]:
        fate.done[job] = now
        return
    fate.leaves[job] = False
    told_at = now - union.grace[node]
    saved = _saved(max(0, told_at - began), union)
    fate.lost[job] += (max(0, now - began) - saved) * units
    work.run[job] -= saved
    work.length[job] = max(work.run[job], work.length[job] - saved)
    work.start[job] = ABSENT
    insert(tide.waiting, tide.counts[WAITING], work.key, job)
    tide.counts[WAITING] += 1


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _saved(ran: int, union: Union) -> int:
    """Return how much of its run a guest has saved that is ended now."""
    return ran // union.interval * union.interval if union.interval else 0


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _decide(
    now: int,
    work: Work,
    tide: Tide,
    kins: Kins,
    places: Places,
    union: Union,
    books: Books,
    fate: Fate,
    backfill: int,
) -> None:
    """One round: owners at home as if alone, guests who must make way, then everybody by share."""
    counts = tide.counts
    waiting, running = tide.waiting[: counts[WAITING]], tide.running[: counts[RUNNING]]
    guests, leaving = _guests(now, work, running, places, union, fate)
    soon = with_leaving(places, leaving)
    told = _told(waiting, work)
    found = _claims(now, work, tide, places, soon, guests, union, backfill)
    claims, gone = take_back(found, told, union.own, places, soon, guests)
    for row in np.flatnonzero(gone):
        _evict(guests.group[row], now, work, tide, union, fate)
    for at in range(claims.job.shape[0]):
        told.tasks[claims.job[at]] = 0
        if claims.when[at] == NOW:
            _start(waiting[claims.job[at]], claims.node[at], now, work, tide, union, books)
    running = tide.running[: counts[RUNNING]]
    releases = Releases(work.due, work.node, union.size, running.copy())
    open_to_guests = _open_to_guests(running, work, places, union)
    kept, payers = nothing_kept(open_to_guests), _payers(union, books, told, kins)
    rows, nodes = fill(told, kins, open_to_guests, payers, releases, kept, backfill, now)
    for at in range(rows.shape[0]):
        places.lent[nodes[at], 0] -= work.units[waiting[rows[at]]]
        _start(waiting[rows[at]], nodes[at], now, work, tide, union, books)
    for at in range(claims.job.shape[0]):
        if claims.when[at] != NOW:  # what was kept for this round is found anew in the next
            units = work.units[waiting[claims.job[at]]]
            places.free[claims.node[at], 0] += units
            places.lent[claims.node[at], 0] += units
    left = 0
    for job in waiting:
        if work.start[job] == ABSENT:
            waiting[left] = job
            left += 1
    counts[WAITING] = left


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _open_to_guests(running: Ints, work: Work, places: Places, union: Union) -> Places:
    """Return the places as guests find them: owners let them hold no more than is lent."""
    lent = union.lent.copy()
    for job in running:
        if work.node[job] != union.home[job]:
            lent[work.node[job], 0] -= work.units[job]
    return Places(places.free, places.whole, places.traits, lent)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _told(waiting: Ints, work: Work) -> Jobs:
    """Return those who wait as a fill takes them, one task each."""
    one, each = np.ones(waiting.shape[0], np.int64), np.full(waiting.shape[0], LARGEST)
    return Jobs(work.kin[waiting], one, each, work.length[waiting])


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _payers(union: Union, books: Books, told: Jobs, kins: Kins) -> Payers:
    """Return the homes side by side, each with what it has used of late."""
    homes = books.used.shape[0]
    queue = _by_home(told.kin, kins.project, homes)
    wallet = np.full(homes, LARGEST)
    return flat(books.used, union.weight, wallet, queue, kins.need.shape[0])


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _by_home(kin: Ints, project: Ints, homes: int) -> Ints:
    """Return the rows of jobs by home, each home's in their order."""
    queue, count = np.empty(kin.shape[0], np.int64), 0
    for home in range(homes):
        for row in range(kin.shape[0]):
            if project[kin[row]] == home:
                queue[count] = row
                count += 1
    return queue


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _guests(
    now: int, work: Work, running: Ints, places: Places, union: Union, fate: Fate
) -> tuple[Guests, Ints]:
    """Return those who run away from home and may be ended, and what leaves[node, resource]."""
    leaving, count = np.zeros_like(places.free), 0
    rows = np.empty(running.shape[0], np.int64)
    loss = np.empty(running.shape[0], np.int64)
    for job in running:
        if fate.leaves[job]:
            leaving[work.node[job], 0] += work.units[job]
        elif work.node[job] != union.home[job]:
            ran = now - work.start[job]
            saved = _saved(max(0, ran - union.delay[work.kin[job], work.node[job]]), union)
            rows[count], loss[count] = job, min(LOSS_MAX, (ran - saved) * work.units[job])
            count += 1
    rows = rows[:count]
    return Guests(work.node[rows], union.size[rows], rows, loss[:count]), leaving


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _claims(
    now: int,
    work: Work,
    tide: Tide,
    places: Places,
    soon: Places,
    guests: Guests,
    union: Union,
    backfill: int,
) -> Claims:
    """Return what each owner's jobs would start at home if there were no guests, home by home.

    Each home keeps its own room for the first of its own that waits, as it would alone.
    """
    waiting, running = tide.waiting[: tide.counts[WAITING]], tide.running[: tide.counts[RUNNING]]
    jobs, nodes, when = np.empty((3, waiting.shape[0]), np.int64)
    homes, count = union.home[waiting], 0
    for home in range(places.lent.shape[0]):
        rows = np.flatnonzero(homes == home)
        if not rows.shape[0]:
            continue
        theirs = _told(waiting[rows], work)
        at_home = running[(work.node[running] == home) & (union.home[running] == home)]
        releases = Releases(work.due, work.node, union.size, at_home)
        alone, own = without_guests(soon, guests), union.own
        kept, payers = nothing_kept(alone), _nobody(places.lent.shape[0], theirs, own)
        placed, there = fill(theirs, own, alone, payers, releases, kept, backfill, now)
        found = claim(placed, there, theirs, own, places, soon, payers.wallet)
        for at in range(found.job.shape[0]):
            jobs[count], nodes[count] = rows[found.job[at]], found.node[at]
            when[count] = found.when[at]
            count += 1
    return Claims(jobs[:count], nodes[:count], when[:count])


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _nobody(homes: int, told: Jobs, kins: Kins) -> Payers:
    """Return payers among whom nobody has used anything yet."""
    used, weight = np.zeros(homes, np.int64), np.ones(homes, np.int64)
    queue = _by_home(told.kin, kins.project, homes)
    return flat(used, weight, np.full(homes, LARGEST), queue, kins.need.shape[0])


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _start(
    job: int, node: int, now: int, work: Work, tide: Tide, union: Union, books: Books
) -> None:
    """Start a job, or begin to move its data: what it will run on is its own from now on."""
    counts, begins = tide.counts, now + union.delay[work.kin[job], node]
    work.start[job], work.node[job], work.begun[job] = now, node, counts[BEGUN]
    work.end[job], work.due[job] = begins + work.run[job], begins + work.length[job]
    insert(tide.running, counts[RUNNING], work.due, job)
    await_end(tide, work, job)
    books.holds[union.home[job]] += work.units[job]
    counts[RUNNING] += 1
    counts[BEGUN] += 1
