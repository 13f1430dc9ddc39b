"""Replay: a trace on a virtual clock through the place step's own kernel, as one compiled loop.

It has no rule of its own: who goes first is `placement.ordering`'s word, who is placed, where and
behind whom `placement.fill`'s, how long a job will take `planner.predicting`'s. What is here is
time: jobs come, run as long as they did, and give back what they held. Its slow twin, one event
after another in plain Python, is in tests/simulator/test_replay.py.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from intertie.placement.choosing import take
from intertie.placement.fill import serve
from intertie.placement.given import (
    BACKFILLS,
    FCFS,
    LARGEST,
    NO_TRADE,
    POOL,
    Ints,
    Jobs,
    Kept,
    Kins,
    Line,
    Payers,
    Placed,
    Places,
    Releases,
)
from intertie.placement.keeping import nothing_kept
from intertie.placement.ordering import EXPANSION, ORDERS, queue_key
from intertie.placement.shares import Turn, flat, nobody_yet
from intertie.planner.predicting import (
    ENDLESS_MS,
    Foresight,
    correct,
    foresee,
    foresight_of,
    learn,
    reach,
)
from intertie.simulator.tide import (
    ABSENT,
    ASKED,
    BEGUN,
    CAME,
    GIVEN,
    NEW,
    NOW,
    RUNNING,
    WAITING,
    Tide,
    Work,
    await_end,
    insert,
    next_end,
    remove,
    take_end,
    tide_of,
)
from intertie.simulator.traces.trace import BadTrace, S, Trace
from intertie.world.compiling import in_place, on_call


@dataclass(frozen=True)
class ReplayPolicy:
    """How a replay decides: who may go before the first that finds no room, on what lengths.

    `order` is who goes first, but before all others who has waited longer than `patience_s` (0: no
    one); `is_fair`: of the users' queues the one whose jobs had the least units × seconds by what
    they stated. `predictor` is where lengths come from; `is_perfect`: they are what jobs will take,
    whatever their users asked for. `is_by_event`: a round after each single event, else one for
    all events of an instant.
    """

    backfill: str = "easy"
    is_perfect: bool = False
    is_by_event: bool = True
    order: str = "fifo"
    predictor: str = "stated"
    patience_s: int = 0
    is_fair: bool = False


class Desk(NamedTuple):
    """What the place step is given and writes, the same from round to round.

    `size` is what each job holds, by its row; the queue of `line` is a copy that a round may turn
    over.
    """

    jobs: Jobs
    line: Line
    turn: Turn
    payers: Payers
    size: Ints
    kept: Kept
    placed: Placed


class Rules(NamedTuple):
    """A `ReplayPolicy` as the compiled loop reads it: places in `BACKFILLS` and in `ORDERS`."""

    backfill: int
    order: int
    is_by_event: bool
    patience_ms: int


def replay(trace: Trace, capacity: int, policy: ReplayPolicy, is_by_step: bool = False) -> Ints:
    """Return when each job started, in milliseconds; axes [job].

    One machine of `capacity` units holds them all. BadTrace if a job is larger than that.
    """
    alone = replace(trace, home=np.zeros(len(trace), np.int64))
    return replay_together(alone, [capacity], np.zeros((1, 1), np.int64), policy, is_by_step)[0]


def replay_together(
    trace: Trace, capacity: list[int], rank: Ints, policy: ReplayPolicy, is_by_step: bool = False
) -> tuple[Ints, Ints]:
    """Return when and at which cluster each job started; axes [job].

    Each cluster is one machine of so many units. rank[home, cluster] is where the jobs of a home
    would rather go, the lowest first, and NO_TRADE where they may not. BadTrace if a job fits
    nowhere that it may go. `is_by_step`: the loop over events is Python's, and calls the kernel
    for each, as a live decider would; the result is the same.
    """
    whole = np.array(capacity, np.int64).reshape(-1, 1)
    may = rank != NO_TRADE
    largest = np.where(may, whole[:, 0], 0).max(axis=1, initial=0)[trace.home]
    if (too_large := trace.units > largest).any():
        least = int(trace.units[too_large].max())
        raise BadTrace(f"a job asks for {least} units of {whole.max()}: give at least {least}")
    traits = np.zeros((len(capacity), 3), np.int64)
    traits[:, POOL] = np.arange(len(capacity))
    places = Places(whole.copy(), whole, traits, whole.copy())
    kins, kin = _kins_of(trace, rank, policy)
    work = work_of(trace, kin, policy)
    desk = _desk_of(work, kins, places)
    foresight = foresight_of(policy.predictor, work.user, work.units, work.stated)
    rules = _rules_of(policy)
    told = (work, tide_of(len(trace)), desk, kins, places, foresight, rules)
    if is_by_step:
        while _step_once(*told):
            pass
    else:
        _replay(*told)
    return work.start, work.node


def _kins_of(trace: Trace, rank: Ints, policy: ReplayPolicy) -> tuple[Kins, Ints]:
    """Return what jobs differ in, and the kin of each; users and lengths only where it is fair."""
    columns = [trace.home, trace.units]
    if policy.is_fair:
        columns += [trace.user, trace.length_ms // S]
    kin = np.zeros(len(trace), np.int64)
    for column in columns:
        numbers = np.unique(column, return_inverse=True)[1]
        kin = np.unique(kin * len(trace) + numbers, return_inverse=True)[1]
    first = np.unique(kin, return_index=True)[1]
    units, none = trace.units[first], np.zeros(len(first), np.int64)
    # Cut to what the kernel can add up, of all jobs, and multiply by two.
    stated_s = np.minimum(trace.length_ms[first] // S, LARGEST // 4 // len(trace) // units)
    use, user = (stated_s * units, trace.user[first]) if policy.is_fair else (none, none)
    ranks = rank[trace.home[first]]
    kins = Kins(units.reshape(-1, 1).copy(), none, ranks, np.zeros_like(ranks), use, none, user)
    return kins, kin


def _rules_of(policy: ReplayPolicy) -> Rules:
    return Rules(
        BACKFILLS.index(policy.backfill),
        ORDERS.index(policy.order),
        policy.is_by_event,
        policy.patience_s * S if policy.patience_s else LARGEST,
    )


def work_of(trace: Trace, kin: Ints, policy: ReplayPolicy) -> Work:
    """Return a trace's columns before the first of its jobs came.

    Where nobody stated a length, whoever predicts must not read it from what jobs will take.
    """
    jobs, stated = len(trace), trace.length_ms
    if policy.is_perfect:
        stated = trace.run_ms
    elif policy.predictor != "stated" and not trace.is_stated:
        stated = np.full(jobs, ENDLESS_MS)
    return Work(
        trace.submit_ms,
        trace.run_ms.copy(),
        stated,
        trace.units,
        trace.user,
        np.zeros(jobs, np.int64),
        kin,
        *np.empty((3, jobs), np.int64),
        *np.full((5, jobs), ABSENT, np.int64),
    )


def _desk_of(work: Work, kins: Kins, places: Places) -> Desk:
    """Return the desk before the first round: all have the same weight and money enough."""
    jobs, one = len(work.kin), np.ones(int(kins.project.max(initial=0)) + 1, np.int64)
    each = np.ones(jobs, np.int64)
    queue, job, node, by_end = np.empty((4, jobs), np.int64)
    return Desk(
        Jobs(work.kin, each, np.full(jobs, LARGEST), work.length),
        Line(queue, 0 * one, 0 * one, each, np.zeros(len(kins.need), np.bool_)),
        nobody_yet(len(one) + 1),
        flat(0 * one, one, LARGEST * one, queue, len(kins.need)),
        kins.need[work.kin],
        nothing_kept(places),
        Placed(job, node, by_end),
    )


@on_call
def _replay(
    work: Work,
    tide: Tide,
    desk: Desk,
    kins: Kins,
    places: Places,
    foresight: Foresight,
    rules: Rules,
) -> None:
    """Let all jobs come and end; what becomes of them is written into `work`."""
    while _step(work, tide, desk, kins, places, foresight, rules):
        pass


@on_call
def _step_once(
    work: Work,
    tide: Tide,
    desk: Desk,
    kins: Kins,
    places: Places,
    foresight: Foresight,
    rules: Rules,
) -> bool:
    return _step(work, tide, desk, kins, places, foresight, rules)


@in_place
def _step(
    work: Work,
    tide: Tide,
    desk: Desk,
    kins: Kins,
    places: Places,
    foresight: Foresight,
    rules: Rules,
) -> bool:
    """Let the next job come or end, and decide; return False if there is none.

    Of one instant: who ends exactly as expected has ended before all else, then who outlasts what
    was expected is told, then come those who come, then those end who end, as they started.
    """
    counts, now = tide.counts, _next_instant(work, tide)
    if now == LARGEST:
        return False
    is_told = False
    if now > counts[NOW]:
        counts[NOW] = now
        is_told = _meet_what_was_expected(now, work, tide, kins, places, foresight)
    if not is_told:
        came = counts[CAME]
        if came < work.submit.shape[0] and work.submit[came] == now:
            _come(came, work, tide, foresight, rules)
        else:
            job = take_end(tide, work)
            if work.due[job] != ABSENT:
                _end(job, work, tide, kins, places, foresight)
    if rules.is_by_event or _next_instant(work, tide) > now:
        _decide(now, work, tide, desk, kins, places, rules)
    return True


@in_place
def _next_instant(work: Work, tide: Tide) -> int:
    """Return when next a job comes, ends, or outlasts what was expected; LARGEST if none does."""
    counts, now = tide.counts, next_end(tide, work)
    if counts[CAME] < work.submit.shape[0]:
        now = min(now, work.submit[counts[CAME]])
    if counts[RUNNING]:
        now = min(now, work.due[tide.running[0]])
    return int(now)


@in_place
def _come(job: int, work: Work, tide: Tide, foresight: Foresight, rules: Rules) -> None:
    """Let a job come: how long it will take, and before whom it goes."""
    stated = work.stated[job]
    _, likely, high = foresee(foresight, job, work.user[job], stated)
    work.length[job] = likely
    work.reach[job] = max(1, reach(foresight, likely, high, stated))
    work.key[job] = _key(job, work.submit[job], work, rules)
    insert(tide.waiting, tide.counts[WAITING], work.key, job)
    tide.newcomer[0] = job
    tide.counts[CAME] += 1
    tide.counts[NEW] += 1
    tide.counts[WAITING] += 1


@in_place
def _meet_what_was_expected(
    now: int, work: Work, tide: Tide, kins: Kins, places: Places, foresight: Foresight
) -> bool:
    """Let those end who end as expected; who outlasts it gets another length. True if one did."""
    is_told = False
    while tide.counts[RUNNING] and work.due[tide.running[0]] == now:
        job = tide.running[0]
        if work.end[job] == now:
            _end(job, work, tide, kins, places, foresight)
            continue
        ran, is_told = now - work.start[job], True
        tide.counts[GIVEN] = 1  # what is kept may be kept from another instant now
        remove(tide.running, tide.counts[RUNNING], work.due, job)
        work.reach[job] = correct(work.stated[job], ran)
        work.due[job] = work.start[job] + work.reach[job]
        assert work.due[job] > now, "a job that runs on is expected to end later than now"
        insert(tide.running, tide.counts[RUNNING] - 1, work.due, job)
    return is_told


@in_place
def _end(
    job: int, work: Work, tide: Tide, kins: Kins, places: Places, foresight: Foresight
) -> None:
    """Give back what a job holds, and learn how long it took."""
    remove(tide.running, tide.counts[RUNNING], work.due, job)
    tide.counts[RUNNING] -= 1
    tide.counts[GIVEN] = 1
    work.due[job] = ABSENT
    there, pool = work.node[job], places.traits[work.node[job], POOL]
    take(kins.need, work.kin[job], -1, there, pool, places.free, places.lent)
    learn(foresight, job, work.user[job], work.stated[job], work.run[job])


@in_place
def _decide(
    now: int, work: Work, tide: Tide, desk: Desk, kins: Kins, places: Places, rules: Rules
) -> None:
    """Start those whom a round of the place step gives room.

    The one place at which what runs may be made to give way: before the round.
    """
    counts, line, kept = tide.counts, desk.line, desk.kept
    _put_in_order(now, work, tide, rules)
    asked, count = tide.waiting, counts[WAITING]
    if _is_settled(now, work, tide, kept, line.head.shape[0] == 1):
        # All others found no room when there was no less: only who has just come is asked.
        is_barred = rules.backfill == FCFS and kept.at[0] < LARGEST
        asked, count = tide.newcomer, 0 if is_barred else counts[NEW]
    else:
        kept.at[0] = LARGEST
    counts[NEW] = counts[GIVEN] = 0
    if not count:
        return
    _put_in_line(asked, count, line, kins.project, work.kin)
    line.is_over[:] = False
    releases = Releases(work.due, work.node, desk.size, tide.running[: counts[RUNNING]])
    count = serve(
        line,
        desk.turn,
        desk.jobs,
        kins,
        places,
        desk.payers,
        releases,
        kept,
        desk.placed,
        rules.backfill,
        now,
    )
    for at in range(count):
        _start(desk.placed.job[at], desk.placed.node[at], now, work, tide)
    if count:
        counts[WAITING] = _drop_started(tide.waiting, counts[WAITING], line.left)
        # Over several nodes another round may keep room elsewhere, beside who was placed behind.
        counts[GIVEN] = places.free.shape[0] > 1


@in_place
def _put_in_order(now: int, work: Work, tide: Tide, rules: Rules) -> None:
    """Write the keys anew that time has changed: of all, or of those who have lost patience."""
    counts, waiting = tide.counts, tide.waiting
    if rules.order >= EXPANSION:
        counts[GIVEN] = 1
        for at in range(counts[WAITING]):
            work.key[waiting[at]] = _key(waiting[at], now, work, rules)
        for at in range(counts[WAITING]):
            insert(waiting, at, work.key, waiting[at])
    while counts[ASKED] < counts[CAME]:
        job = counts[ASKED]
        if now - work.submit[job] <= rules.patience_ms:
            break
        counts[ASKED] += 1
        if work.start[job] == ABSENT and rules.order < EXPANSION:
            counts[GIVEN] = 1
            remove(waiting, counts[WAITING], work.key, job)
            work.key[job] = _key(job, now, work, rules)
            insert(waiting, counts[WAITING] - 1, work.key, job)


@in_place
def _key(job: int, now: int, work: Work, rules: Rules) -> int:
    submit, length, units = work.submit[job], work.length[job], work.units[job]
    deadline, patience = work.deadline[job], rules.patience_ms
    return queue_key(rules.order, submit, length, units, deadline, 0, now, patience)


@in_place
def _put_in_line(asked: Ints, count: int, line: Line, project: Ints, kin: Ints) -> None:
    """Put jobs into their projects' queues, each in the order given."""
    head, end, first = line.head, line.end, 0
    if head.shape[0] == 1:
        head[0], end[0] = 0, count
        for at in range(count):
            line.queue[at] = asked[at]
        return
    end[:] = 0
    for at in range(count):
        end[project[kin[asked[at]]]] += 1
    for owner in range(head.shape[0]):
        head[owner] = first
        first += end[owner]
        end[owner] = head[owner]
    for at in range(count):
        owner = project[kin[asked[at]]]
        line.queue[end[owner]] = asked[at]
        end[owner] += 1


@in_place
def _is_settled(now: int, work: Work, tide: Tide, kept: Kept, is_alone: bool) -> bool:
    """Return whether all who wait but the last who came were asked, and would be told the same.

    Nothing was given back since, what is kept is kept for somebody before him, and its instant has
    not passed. Where projects take turns he may be before that one, whoever came first.
    """
    counts = tide.counts
    if counts[GIVEN] or counts[NEW] > is_alone:
        return False
    if kept.at[0] == LARGEST or not counts[NEW]:
        return bool(now <= kept.at[0])
    return bool(now <= kept.at[0] and work.key[kept.at[1]] <= work.key[counts[CAME] - 1])


@in_place
def _drop_started(waiting: Ints, count: int, left: Ints) -> int:
    kept = 0
    for at in range(count):
        if left[waiting[at]]:
            waiting[kept] = waiting[at]
            kept += 1
    return kept


@in_place
def _start(job: int, node: int, now: int, work: Work, tide: Tide) -> None:
    counts = tide.counts
    work.start[job], work.node[job], work.begun[job] = now, node, counts[BEGUN]
    work.end[job], work.due[job] = now + work.run[job], now + work.reach[job]
    insert(tide.running, counts[RUNNING], work.due, job)
    await_end(tide, work, job)
    counts[RUNNING] += 1
    counts[BEGUN] += 1
