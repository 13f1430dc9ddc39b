"""Training jobs of a Philly cluster as replayed for Muri (SIGCOMM 2022, pkusys/Muri, Apache-2.0).

job_id, num_gpu, submit_time in milliseconds, iterations, model_name, iteration_time in
milliseconds. The execution model is that of its simulator, from what that does: an iteration takes
1.5 % longer than was profiled, and each round of the scheduler restarts whoever runs on, for as
long as was profiled for its model and devices. The cluster is of 8 nodes of 8 devices.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from intertie.simulator.traces.table import texts
from intertie.simulator.traces.trace import BadTrace, Ints, Trace, checked

NEEDED = ("num_gpu", "submit_time", "iterations", "model_name", "iteration_time")
NODE_DEVICES, NODES = 8, 8
# Seconds that a start was measured to take, on 1, 2, 4, 8, 16 and 32 devices; 10 where unknown.
STARTS_S = {
    "vgg16": (7, 7, 8, 9, 9, 10),
    "vgg19": (7, 7, 8, 9, 10, 10),
    "resnet18": (4, 5, 5, 7, 7, 7),
    "shufflenet_v2_x1_0": (4, 4, 5, 5, 7, 8),
    "bert": (10, 10, 10, 10, 10, 10),
    "gpt2": (10, 10, 10, 10, 10, 10),
    "a2c": (38, 39, 39, 46, 46, 46),
    "dqn": (5, 5, 6, 6, 8, 8),
}
UNKNOWN_START_S = 10
SLOWER_PER_MILLE = 1015


def _none() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class PausableTrace(Trace):
    """Jobs that may be paused between any two steps; axes [job].

    `work_us` is what a job runs in all, in microseconds (its simulator counts no coarser), and
    `restart_us` what a round takes of it while it runs. Nodes have `node_units` each; a job larger
    than a node takes whole ones.
    """

    OF_ALL: ClassVar[tuple[str, ...]] = ("capacity", "node_units")

    work_us: Ints = field(default_factory=_none)
    restart_us: Ints = field(default_factory=_none)
    node_units: int = NODE_DEVICES


def read_muri(path: Path) -> PausableTrace:
    """Return the jobs by submission; BadTrace names the line and the field that is wrong."""
    rows = []
    for where, row in texts(path, NEEDED):
        try:
            told = {name: float(row[name]) for name in NEEDED if name != "model_name"}
        except (TypeError, ValueError) as error:
            raise BadTrace(f"{where}: {error}") from error
        units, submit_ms, iterations, step_ms = checked(
            where,
            units=told["num_gpu"],
            submit_time=told["submit_time"],
            iterations=told["iterations"],
            iteration_time=told["iteration_time"],
        )
        work_us = iterations * step_ms * SLOWER_PER_MILLE
        checked(where, work=work_us / 1_000_000)
        if work_us:
            rows.append((submit_ms, work_us, _start_us(row["model_name"], units), units))
    if not rows:
        raise BadTrace(f"{path.name}: no job in it ran")
    rows.sort(key=lambda row: row[0])
    submit, work, restart, units_held = np.array(rows, np.int64).T.copy()
    run, none = -(-work // 1000), np.zeros(len(rows), np.int64)
    most = NODES * NODE_DEVICES
    return PausableTrace(submit, run, run, units_held, none, none, most, work, restart)


def _start_us(model: str, units: int) -> int:
    sizes = (1, 2, 4, 8, 16, 32)
    starts = STARTS_S.get(model)
    known = starts[sizes.index(units)] if starts and units in sizes else UNKNOWN_START_S
    return known * 1_000_000
