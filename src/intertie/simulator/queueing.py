"""The policies of a queue of rigid jobs on one machine: the place step's own, by their names."""

from functools import partial

from intertie.placement.given import BACKFILLS
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.scoreboard import score
from intertie.simulator.traces.trace import BadTrace, Trace


def run(backfill: str, trace: Trace, setting: Setting) -> Outcome:
    """Return the outcome of a trace on one machine of `setting.capacity` units."""
    capacity = setting.capacity or trace.capacity
    if not capacity:
        raise BadTrace("the trace does not say how large its machine was: add --capacity")
    policy = ReplayPolicy(backfill, setting.lengths == "true", setting.is_by_event)
    starts = replay(trace, capacity, policy)
    columns = {"submit_ms": trace.submit_ms, "start_ms": starts, "end_ms": starts + trace.run_ms}
    return Outcome(score(trace, starts, capacity).as_dict(), columns)


POLICIES = tuple(SimulatedPolicy(name, Trace, partial(run, name)) for name in BACKFILLS)
