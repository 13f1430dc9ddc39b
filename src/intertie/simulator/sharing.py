"""The policies of a fleet whose devices are shared: tasks come one after another, and stay.

The published experiment on openb: arrivals are inflated until they ask for 130 % of the devices,
each is placed at once or never, and what counts is the share of the devices held at the end.
"""

from functools import partial

import numpy as np

from intertie.placement.fractions import NOWHERE, SCORES
from intertie.placement.fragments import place_tasks
from intertie.placement.outlook import outlook_of
from intertie.simulator.inflation import inflated
from intertie.simulator.running import Outcome, Setting, SimulatedPolicy
from intertie.simulator.traces.openb import Pods, read_fleet
from intertie.simulator.traces.trace import BadTrace, Ints

ASKED_PERCENT = 130


def run(score: str, pods: Pods, setting: Setting) -> Outcome:
    """Return the outcome of an inflated list of pods on the nodes of `setting.nodes`.

    What is known beforehand is how often each shape is in the list, as in the published runs.
    """
    if setting.nodes is None:
        raise BadTrace("the trace does not say on which nodes: add --nodes FILE")
    order, fleet = inflated(pods, read_fleet(setting.nodes), ASKED_PERCENT, setting.seed)
    shapes, tasks = pods.on(fleet.classes), pods.shape[order]
    count = np.bincount(pods.shape, minlength=len(pods.asked)).astype(np.int64)
    outlook = outlook_of(shapes, count, fleet.machines)
    capacity = fleet.capacity_milli
    node, device = place_tasks(
        tasks, shapes, fleet.machines, outlook, SCORES.index(score), setting.seed
    )
    held = pods.held_milli[tasks]
    jobs = {"pod": order, "node": node, "device": device, "held_milli": held}
    return Outcome(_measures(held, node, capacity), jobs)


def _measures(held: Ints, node: Ints, capacity: int) -> dict[str, float]:
    is_placed = node != NOWHERE
    gained = np.cumsum(np.where(is_placed, held, 0))
    full = int(
        np.searchsorted(np.cumsum(held), capacity)
    )  # who comes then asks for the last device
    return {
        "tasks": len(held),
        "tasks_placed": int(is_placed.sum()),
        "devices_held": float(gained[-1]) / 1000,
        "held_share": float(gained[-1]) / capacity,
        "held_when_all_asked_share": float(gained[min(full, len(held) - 1)]) / capacity,
    }


POLICIES = tuple(SimulatedPolicy(name, Pods, partial(run, name)) for name in SCORES)
