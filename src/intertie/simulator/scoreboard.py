"""What a replay was worth: waits, slowdowns, occupancy; one set of definitions for all policies."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intertie.placement.evenness import PPM, gini_ppm, most_to_least_ppm
from intertie.simulator.traces.trace import Ints, Trace

SHORTEST_MS = 10_000  # below this a slowdown says nothing (Feitelson 1997)


@dataclass(frozen=True)
class Score:
    """Times in seconds, by job. `ave_bsld` is the mean of max(1, (wait + run) / max(run, 10 s)).

    `occupancy_share` is units × run time ÷ (capacity × the time from first submission to last end).
    """

    jobs: int
    wait_mean_s: float
    wait_p50_s: float
    wait_p90_s: float
    wait_p99_s: float
    wait_max_s: float
    jct_mean_s: float
    jct_p99_s: float
    ave_bsld: float
    makespan_s: float
    occupancy_share: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def slowdowns(trace: Trace, starts: Ints) -> NDArray[np.float64]:
    """Return the bounded slowdown of each job; axes [job]."""
    jct = starts - trace.submit_ms + trace.run_ms
    return np.maximum(1.0, jct / np.maximum(trace.run_ms, SHORTEST_MS))


def waits(submit: Ints, start: Ints, end: Ints) -> dict[str, float]:
    """Return what jobs waited and took, in seconds by job; axes [job] in milliseconds."""
    wait, jct = start - submit, end - submit
    bsld = np.maximum(1.0, jct / np.maximum(end - start, SHORTEST_MS))
    return {
        "wait_mean_s": float(wait.mean()) / 1000,
        "wait_p50_s": float(np.percentile(wait, 50)) / 1000,
        "wait_p90_s": float(np.percentile(wait, 90)) / 1000,
        "wait_p99_s": float(np.percentile(wait, 99)) / 1000,
        "wait_max_s": float(wait.max()) / 1000,
        "jct_mean_s": float(jct.mean()) / 1000,
        "jct_p99_s": float(np.percentile(jct, 99)) / 1000,
        "ave_bsld": float(bsld.mean()),
        "makespan_s": float(end.max() - submit.min()) / 1000,
    }


def evenness(owner: Ints, units: Ints, submit: Ints, start: Ints, end: Ints) -> dict[str, float]:
    """Return how evenly owners were served; axes [job], in milliseconds.

    Served is what an owner's jobs held over what they wanted, units × time: run ÷ (wait + run).
    """
    served = served_ppm(owner, units, submit, start, end)
    ratio = most_to_least_ppm(served)
    found = {"served_gini": gini_ppm(served) / PPM}
    return found if ratio is None else found | {"served_most_to_least": ratio / PPM}


def served_ppm(owner: Ints, units: Ints, submit: Ints, start: Ints, end: Ints) -> list[int]:
    """Return what each owner with jobs was served of what it wanted, in millionths, by owner."""
    found = []
    for each in np.unique(owner):
        mine = owner == each
        held = int((units[mine] * (end - start)[mine]).sum())
        wanted = int((units[mine] * (end - submit)[mine]).sum())
        found.append(held * PPM // max(1, wanted))
    return found


def score(trace: Trace, starts: Ints, capacity: int) -> Score:
    """Return the score of a replay; a trace without jobs has none (ValueError)."""
    if not len(trace):
        raise ValueError("there are no jobs to score")
    found = waits(trace.submit_ms, starts, starts + trace.run_ms)
    held_s = float((trace.run_ms.astype(np.float64) * trace.units).sum()) / 1000
    occupancy = held_s / capacity / found["makespan_s"]
    return Score(jobs=len(trace), **found, occupancy_share=occupancy)
