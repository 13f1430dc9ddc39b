"""The policies of jobs that take turns in slices of time, by their names in the field.

Baselines are those that Shockwave (NSDI 2023) was measured against: Gavel's max-min fairness, the
most steps a second (MST), the least makespan (OSSP); least attained service; shortest first;
finish-time fairness. *balanced* is ours. With `-blind` an order does not know on which class a job
is fast.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from intertie.placement import portions, slices
from intertie.placement.given import Ints
from intertie.placement.portions import Portions
from intertie.simulator.rounds import Moment, Order, run_sliced
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.slicing import Learners
from intertie.simulator.traces.sliced import SlicedTrace
from intertie.simulator.traces.trace import BadTrace

UNFAIR = 1.05  # times a fair part's time to completion, as published
BLIND = "-blind"

Divide = Callable[[Moment], Ints]


@dataclass
class ByPortion:
    """The order of who is furthest behind the part of the time that was promised."""

    divide: Divide
    portions: Portions
    is_changed: bool = field(default=False)

    def __call__(self, moment: Moment) -> Ints:
        self.portions.had_ms[moment.rows] += moment.ran_ms
        self.is_changed |= moment.is_changed
        if self.is_changed and portions.is_due(self.portions, moment.now):
            parts = self.divide(moment)
            portions.divide(self.portions, moment.now, moment.rows, parts, moment.slice_ms)
            self.is_changed = False
        return portions.by_portion(self.portions, moment.rows)


def _max_min(moment: Moment) -> Ints:
    return portions.max_min(moment.jobs.units, moment.total)


def _most_steps(moment: Moment) -> Ints:
    return portions.most_steps(moment.jobs.units, moment.jobs.speed.max(axis=1), moment.total)


def _least_makespan(moment: Moment) -> Ints:
    return portions.least_makespan(moment.jobs.units, moment.measured_ms, moment.total)


def _shortest(moment: Moment) -> Ints:
    return slices.shortest(moment.jobs)


def _least_served(moment: Moment) -> Ints:
    return slices.least_served(moment.jobs)


def _finish_time(moment: Moment) -> Ints:
    return slices.finish_time(moment.now, moment.jobs, moment.share_milli)


def _balanced(moment: Moment) -> Ints:
    return slices.balanced(
        moment.now, moment.jobs, moment.share_milli, moment.devices, moment.slice_ms
    )


ORDERS: dict[str, Order] = {
    "balanced": _balanced,
    "finish-time": _finish_time,
    "least-served": _least_served,
    "shortest": _shortest,
}
DIVISIONS: dict[str, Divide] = {
    "max-min": _max_min,
    "most-steps": _most_steps,
    "least-makespan": _least_makespan,
}


def run(name: str, trace: SlicedTrace, setting: Setting) -> Outcome:
    """Return the outcome of a trace whose jobs take turns on the setting's devices."""
    devices = _devices(trace, setting)
    plain = name.removesuffix(BLIND)
    order = ORDERS.get(plain) or ByPortion(
        DIVISIONS[plain], portions.no_portions(len(trace), setting.slice_ms)
    )
    learners, use = run_sliced(trace, devices, order, plain == name, setting.slice_ms)
    columns = {
        "submit_ms": trace.submit_ms,
        "start_ms": learners.start_ms,
        "end_ms": learners.end_ms,
        "served_ms": learners.served_ms,
        "units": trace.units,
    }
    return Outcome(_measures(trace, learners, int(devices.sum())), columns, use)


def _devices(trace: SlicedTrace, setting: Setting) -> Ints:
    """Return how many devices there are of each class; BadTrace if a job never fits."""
    told = dict(setting.devices) or {trace.classes[0]: setting.capacity}
    if unknown := [name for name in told if name not in trace.classes]:
        raise BadTrace(f"{unknown[0]} is no class of its table: {', '.join(trace.classes)}")
    devices = np.array([told.get(name, 0) for name in trace.classes], np.int64)
    if not devices.any():
        raise BadTrace("the trace does not say how large its machine was: add --devices")
    fits = (trace.speed_micro[:, 0] > 0) & (devices >= trace.units[:, None])
    if too_large := np.flatnonzero(~fits.any(axis=1)).tolist():
        most = int(trace.units[too_large].max())
        raise BadTrace(f"a job asks for {most} devices of one class that it runs on")
    return devices


def _measures(trace: SlicedTrace, learners: Learners, devices: int) -> dict[str, float]:
    """Return the measures; `rho` is the time to completion ÷ that under a part of 1 ÷ jobs."""
    jct = (learners.end_ms - trace.submit_ms).astype(np.float64) / 1000
    wait = (learners.start_ms - trace.submit_ms).astype(np.float64) / 1000
    makespan = float(learners.end_ms.max() - trace.submit_ms.min()) / 1000
    rho = jct * 1000 / trace.alone_ms / max(1.0, len(trace) / devices)
    served = (learners.served_ms.astype(np.float64) * trace.units).sum() / 1000
    return {
        "jobs": len(trace),
        "wait_mean_s": float(wait.mean()),
        "jct_mean_s": float(jct.mean()),
        "jct_p99_s": float(np.percentile(jct, 99)),
        "makespan_s": makespan,
        "occupancy_share": float(served / devices / makespan),
        "rho_max": float(rho.max()),
        "unfair_share": float((rho > UNFAIR).mean()),
    }


POLICIES = tuple(
    SimulatedPolicy(name, SlicedTrace, partial(run, name))
    for name in (*ORDERS, *DIVISIONS, "balanced" + BLIND, "shortest" + BLIND)
)
