"""The policies of a queue of rigid jobs on one machine: the place step's own, by their names."""

from dataclasses import replace
from functools import partial

from intertie.placement.given import BACKFILLS
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.scoreboard import score
from intertie.simulator.traces.trace import BadTrace, Trace

# Chosen on the first 30 % of KTH-SP2: one day costs a fifth of the mean, four the last who wait.
PATIENCE_S = 2 * 24 * 3600
# Tsafrir et al. 2007: lengths are the mean of a user's last two, the shortest go behind the first.
EASY_PLUS = ReplayPolicy("easy-sjbf", predictor="last-two")
EASY_PATIENT = ReplayPolicy(order="ageing", predictor="history", patience_s=PATIENCE_S)
QUEUEING = {name: ReplayPolicy(name) for name in BACKFILLS}
QUEUEING |= {"easy++": EASY_PLUS, "easy-patient": EASY_PATIENT}
QUEUEING |= {"easy-fair": ReplayPolicy(is_fair=True)}


def run(policy: ReplayPolicy, trace: Trace, setting: Setting) -> Outcome:
    """Return the outcome of a trace on one machine of `setting.capacity` units."""
    capacity = setting.capacity or trace.capacity
    if not capacity:
        raise BadTrace("the trace does not say how large its machine was: add --capacity")
    policy = replace(policy, is_by_event=setting.is_by_event, order=setting.order or policy.order)
    if setting.lengths == "true":
        policy = replace(policy, is_perfect=True, predictor="stated")
    elif setting.lengths == "predicted" and policy.predictor == "stated":
        policy = replace(policy, predictor="history")
    starts = replay(trace, capacity, policy)
    columns = {"submit_ms": trace.submit_ms, "start_ms": starts, "end_ms": starts + trace.run_ms}
    columns["units"] = trace.units
    return Outcome(score(trace, starts, capacity).as_dict(), columns)


POLICIES = tuple(
    SimulatedPolicy(name, Trace, partial(run, policy)) for name, policy in QUEUEING.items()
)
