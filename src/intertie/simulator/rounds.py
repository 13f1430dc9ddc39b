"""Time in slices: at the end of each, placement says who runs in the next.

It holds time and no rule: the orders are `placement.slices` and `placement.portions`, what a slice
does to a job is `slicing.py`, and what a job still needs is the planner's word.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from intertie.placement import slices
from intertie.placement.given import Ints
from intertie.placement.slices import NOWHERE, Candidates
from intertie.planner.epochs import Learning, left_ms
from intertie.simulator.running import SLICE_MS
from intertie.simulator.slicing import (
    NEVER,
    Jobs,
    Learners,
    beginners,
    jobs_of,
    look_ahead,
    run_slice,
)
from intertie.simulator.traces.sliced import SlicedTrace

MILLI, MICRO = 1000, 10**6
SLICES_MOST = 10**7  # a year of seconds: what needs more will never end


@dataclass(frozen=True)
class Moment:
    """What a rule may know when it orders the next slice; axes [job] of those that wait or run.

    `rows` are their places in the trace. `ran_ms` is what each had of the slice that is over, and
    `is_changed` whether somebody came or went since. `measured_ms` is what each still needs if it
    stays as it is now, where `jobs.left_ms` expects its batch size to change.
    """

    now: int
    rows: Ints
    jobs: Candidates
    measured_ms: Ints
    ran_ms: Ints
    came: int
    is_changed: bool
    devices: Ints
    slice_ms: int

    @property
    def total(self) -> int:
        """Return how many devices there are of all classes."""
        return int(self.devices.sum())

    @property
    def share_milli(self) -> int:
        """Return how many times longer than alone a job may take under a fair part."""
        return slices.fair_milli(self.came, self.total)


Order = Callable[[Moment], Ints]


def run_sliced(
    trace: SlicedTrace,
    devices: Ints,
    order: Order,
    is_by_speed: bool = True,
    slice_ms: int = SLICE_MS,
) -> tuple[Learners, tuple[Ints, Ints]]:
    """Return what became of each job on so many devices of each class of the trace.

    And (instants, device-milliseconds spent until each), an entry at the end of each slice.
    """
    jobs, learners = jobs_of(trace), beginners(trace)
    active, ran_ms = np.zeros(0, np.int64), np.zeros(len(trace), np.int64)
    now, came, number, is_changed = int(trace.submit_ms[0]), 0, 0, False
    use = [(now, 0)]
    while came < len(trace) or len(active):
        arrived = int(np.searchsorted(trace.submit_ms, now, "right"))
        if arrived > came:
            active = np.concatenate([active, np.arange(came, arrived)])
            came, is_changed = arrived, True
        if not len(active):
            now = int(trace.submit_ms[came])
            use.append((now, use[-1][1]))
            continue
        moment = _moment(now, active, trace, jobs, learners, ran_ms, came, is_changed, devices,
                         slice_ms)  # fmt: skip
        where = slices.fill_slice(
            order(moment), moment.jobs.units, moment.jobs.speed, devices.copy(), is_by_speed
        )
        runs = where != NOWHERE
        ran_ms[active] = 0
        over = run_slice(number, now, slice_ms, active[runs], where[runs], jobs, learners, ran_ms)
        now = over if runs.any() else now + slice_ms
        use.append((now, use[-1][1] + int((ran_ms * trace.units)[active].sum())))
        is_over = learners.end_ms[active] != NEVER
        is_changed = bool((is_over | (learners.empty[active] > 0)).any())
        active = active[~is_over]
        look_ahead(active, jobs, learners)
        number += 1
        assert number < SLICES_MOST, "the trace does not come to an end"
    instants, spent = np.array(use, np.int64).T
    return learners, (instants, spent)


def _moment(
    now: int,
    active: Ints,
    trace: SlicedTrace,
    jobs: Jobs,
    learners: Learners,
    ran_ms: Ints,
    came: int,
    is_changed: bool,
    devices: Ints,
    slice_ms: int,
) -> Moment:
    speed = trace.speed_micro[active]
    level = learners.level[active]
    at = np.arange(len(active))
    fastest = np.where(devices > 0, speed, 0).max(axis=2)
    each = jobs.epoch_steps[active]
    left = np.maximum(learners.steps[active] - learners.done[active], 0)
    epoch_us = np.where(fastest > 0, each * MICRO * MICRO // np.maximum(fastest, 1), 0)
    learning = Learning(
        -(-learners.steps[active] // each[at, level]),
        left * MILLI // each[at, level],
        learners.seen[active],
        trace.is_known[active] * (fastest > 0),
        epoch_us,
    )
    candidates = Candidates(
        trace.units[active],
        np.where(devices > 0, speed[at, level], 0),
        left_ms(learning),
        trace.submit_ms[active],
        learners.served_ms[active],
    )
    measured = left * (MICRO * MILLI) // np.maximum(fastest[at, level], 1)
    return Moment(now, active, candidates, measured, ran_ms[active], came, is_changed, devices,
                  slice_ms)  # fmt: skip
