"""What a slice of time does to jobs that learn: steps, epochs, batch sizes, restarts.

The mechanics are those of Shockwave's simulator (NSDI 2023), job by job: whoever did not run in the
slice before loses RESTART_MS of a full one, a new batch size holds from the end of the next slice
that the job runs, and counts begun epochs as done. Its slow twin is in the tests.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from intertie.simulator.traces.regimes import CRITICAL, CYCLE, DOUBLING, EPOCHS
from intertie.simulator.traces.sliced import SlicedTrace
from intertie.simulator.traces.trace import Ints

RESTART_MS = 20_000
NEARLY_MS = 5_000  # a slice that ends so much earlier was the job's last: no restart is counted
EMPTY_SLICES = 5  # whoever cannot do a step in so many is over
STEP_MS = 10**9  # millionths of a step a second to steps a millisecond
NEVER = -1
STAYS, LARGER, SMALLER = 0, 1, -1


class Learners(NamedTuple):
    """How far each job of a trace is; axes [job], `seen` [job, level].

    `level` is its batch size, `steps` to do and `done` at that size, `turns` whether it will
    change, `ran_in` the number of the last slice that it ran in and `ran_on` the class.
    """

    level: Ints
    steps: Ints
    done: Ints
    turns: Ints
    seen: Ints
    served_ms: Ints
    empty: Ints
    ran_in: Ints
    ran_on: Ints
    start_ms: Ints
    end_ms: Ints


class Jobs(NamedTuple):
    """The columns of a SlicedTrace that the kernel reads."""

    levels: Ints
    epoch_steps: Ints
    speed_micro: Ints
    mode: Ints
    rises: Ints
    is_critical: Ints


def jobs_of(trace: SlicedTrace) -> Jobs:
    """Return what the kernel reads of a trace."""
    return Jobs(
        trace.levels,
        trace.epoch_steps,
        trace.speed_micro,
        trace.mode,
        trace.rises,
        trace.is_critical,
    )


def beginners(trace: SlicedTrace) -> Learners:
    """Return jobs that have done nothing yet."""
    none = np.zeros(len(trace), np.int64)
    never = none + NEVER
    return Learners(
        level=none.copy(),
        steps=trace.steps.copy(),
        done=none.copy(),
        turns=none.copy(),
        seen=np.zeros_like(trace.epoch_steps),
        served_ms=none.copy(),
        empty=none.copy(),
        ran_in=never.copy(),
        ran_on=never.copy(),
        start_ms=never.copy(),
        end_ms=never.copy(),
    )


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def run_slice(
    number: int,
    now: int,
    slice_ms: int,
    rows: Ints,
    classes: Ints,
    jobs: Jobs,
    learners: Learners,
    ran_ms: Ints,
) -> int:
    """Run each of `rows` on its class, note ran_ms[job], and return when the last has stopped."""
    over = now
    for at in range(rows.shape[0]):
        job, kind = rows[at], classes[at]
        speed = jobs.speed_micro[job, learners.level[job], kind]
        left = learners.steps[job] - learners.done[job]
        steps = min(speed * slice_ms // STEP_MS, left)
        taken = max(0, steps) * STEP_MS // speed
        end = now + taken
        over = max(over, end)
        if learners.start_ms[job] == NEVER:
            learners.start_ms[job] = now
        stayed = learners.ran_in[job] == number - 1 and learners.ran_on[job] == kind
        if number > 0 and not stayed and taken > slice_ms - NEARLY_MS:
            steps = steps * (taken - RESTART_MS) // taken
            taken -= RESTART_MS
        learners.ran_in[job], learners.ran_on[job] = number, kind
        ran_ms[job] = taken
        _progress(job, steps, taken, end, jobs, learners)
        _turn(job, jobs, learners)
    return over


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def look_ahead(rows: Ints, jobs: Jobs, learners: Learners) -> None:
    """Note of each job whether its next slice changes its batch size."""
    for job in rows:
        level = learners.level[job]
        epoch = _epochs(learners.done[job], jobs.epoch_steps[job, level])
        if jobs.mode[job] == DOUBLING:
            due = 0
            for rise in jobs.rises[job]:
                due += rise <= epoch + 1
            if min(due, jobs.levels[job] - 1) > level:
                learners.turns[job] = LARGER
        elif jobs.mode[job] == CRITICAL:
            known = epoch if epoch < EPOCHS else EPOCHS - CYCLE + epoch % CYCLE
            if jobs.is_critical[job, known]:
                if level > 0:
                    learners.turns[job] = SMALLER
            elif level == 0:
                learners.turns[job] = LARGER


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _progress(job: int, steps: int, taken: int, end: int, jobs: Jobs, learners: Learners) -> None:
    """Add what was done; who has done all, or could do nothing too often, is over."""
    if steps <= 0 and taken <= 0:
        learners.empty[job] += 1
        if learners.empty[job] >= EMPTY_SLICES:
            learners.end_ms[job] = end
        return
    each = jobs.epoch_steps[job, learners.level[job]]
    before = _epochs(learners.done[job], each)
    learners.empty[job] = 0
    learners.done[job] += steps
    learners.served_ms[job] += taken
    learners.seen[job, learners.level[job]] += _epochs(learners.done[job], each) - before
    if learners.done[job] >= learners.steps[job]:
        learners.end_ms[job] = end


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _turn(job: int, jobs: Jobs, learners: Learners) -> None:
    """Change the batch size if that is due and was measured; epochs stay, begun ones count."""
    turns, level = learners.turns[job], learners.level[job]
    learners.turns[job] = STAYS
    if turns == STAYS:
        return
    new = 0
    if turns == LARGER:
        new = level + 1 if jobs.mode[job] == DOUBLING else jobs.levels[job] - 1
    if new == level or not jobs.speed_micro[job, new].any():
        return
    before, after = jobs.epoch_steps[job, level], jobs.epoch_steps[job, new]
    epochs = _epochs(learners.steps[job], before)
    if new > level:
        steps = _epochs(learners.steps[job], 1 << (new - level))
    else:
        steps = learners.steps[job] << (level - new)
    kept = _epochs(steps, after) == epochs
    learners.steps[job] = steps if kept else epochs * after
    learners.done[job] = _epochs(learners.done[job], before) * after
    learners.level[job] = new


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _epochs(steps: int, each: int) -> int:
    """Return steps in epochs, rounded up."""
    return -(-steps // each)
