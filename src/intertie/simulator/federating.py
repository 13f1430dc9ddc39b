"""The policies of several providers: each alone, all as one pool, and joined."""

from dataclasses import replace
from functools import partial

import numpy as np

from intertie.simulator.joining import Federated, alone, as_one, joined
from intertie.simulator.replay import ReplayPolicy
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.scoreboard import score
from intertie.simulator.traces.trace import Ints


def run(way: str, given: Federated, setting: Setting) -> Outcome:
    """Return the outcome of one way; a wait is all that a job took beside its own run."""
    policy = ReplayPolicy("easy", setting.lengths == "true", setting.is_by_event)
    if setting.seed:  # else what traces do not say is drawn by the file's own
        demand = replace(given.told.demand, seed=setting.seed)
        given = replace(given, told=replace(given.told, demand=demand))
    trace, more, columns = given.trace, {}, {"home": given.trace.home}
    if way == "joined":
        fate = joined(given, policy)
        starts = fate.done - trace.run_ms
        work = float((trace.run_ms * trace.units).sum())
        more = {
            "evictions": float(fate.evictions.sum()),
            "lost_share": float(fate.lost.sum()) / work,
        }
        columns |= {"evictions": fate.evictions}
    else:
        starts = (alone if way == "alone" else as_one)(given, policy)
    measures = score(trace, starts, sum(given.capacities)).as_dict() | more
    columns |= {
        "submit_ms": trace.submit_ms,
        "start_ms": starts,
        "end_ms": starts + trace.run_ms,
    }
    return Outcome(measures | _of_homes(given, starts), columns)


def _of_homes(given: Federated, starts: Ints) -> dict[str, float]:
    """Return the waits of those users who wait longest: of which provider does not matter."""
    waits = [
        (starts - given.trace.submit_ms)[given.trace.home == home] / 1000
        for home in np.unique(given.trace.home)
    ]
    return {
        "home_wait_mean_s": max(float(each.mean()) for each in waits),
        "home_wait_p90_s": max(float(np.percentile(each, 90)) for each in waits),
    }


POLICIES = tuple(
    SimulatedPolicy(way, Federated, partial(run, way)) for way in ("alone", "one-pool", "joined")
)
