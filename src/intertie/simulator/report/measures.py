"""What a report draws of an outcome's jobs: waits, occupancy over time, slowdown by size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from intertie.simulator.running import Outcome
from intertie.simulator.scoreboard import SHORTEST_MS
from intertie.simulator.traces.trace import Ints

Floats = NDArray[np.float64]
PERCENTILES = tuple(range(101))
BINS = 200
NEEDED = ("submit_ms", "start_ms", "end_ms")


def has_jobs(outcome: Outcome) -> bool:
    """Return whether it tells when each job came, began and ended, and all of them did."""
    told = all(name in outcome.jobs for name in NEEDED)
    return told and len(outcome.jobs["end_ms"]) > 0 and bool((outcome.jobs["start_ms"] >= 0).all())


def waits_s(outcome: Outcome) -> Floats:
    """Return the wait of each job in seconds; axes [job]."""
    return (outcome.jobs["start_ms"] - outcome.jobs["submit_ms"]) / 1000


def completions_s(outcome: Outcome) -> Floats:
    """Return the time to completion of each job in seconds; axes [job]."""
    return (outcome.jobs["end_ms"] - outcome.jobs["submit_ms"]) / 1000


def ran_ms(outcome: Outcome) -> Ints:
    """Return how long each job held its units, which is less than start to end if it took turns."""
    jobs = outcome.jobs
    ran: Ints = jobs.get("served_ms", jobs["end_ms"] - jobs["start_ms"])
    return ran


def slowdowns_of(outcome: Outcome) -> Floats:
    """Return the bounded slowdown of each job; axes [job]."""
    took = outcome.jobs["end_ms"] - outcome.jobs["submit_ms"]
    return np.maximum(1.0, took / np.maximum(ran_ms(outcome), SHORTEST_MS))


def units_of(outcome: Outcome) -> Ints:
    """Return the units of each job, one where the outcome does not tell."""
    units: Ints = outcome.jobs.get("units", np.ones(len(outcome.jobs["end_ms"]), np.int64))
    return units


def wait_percentiles_s(outcome: Outcome) -> list[float]:
    """Return the wait that each per cent of the jobs did not exceed, from 0 to 100."""
    return [float(value) for value in np.percentile(waits_s(outcome), PERCENTILES)]


def in_use(outcome: Outcome, until_ms: int) -> tuple[list[float], list[float]]:
    """Return (hours, mean units in use) of BINS equal parts of the time from first submission."""
    first = int(outcome.jobs["submit_ms"].min())
    edges = np.linspace(first, max(until_ms, first + BINS), BINS + 1)
    instants, spent = outcome.use or _held(outcome)
    held = np.diff(np.interp(edges, instants, spent)) / np.diff(edges)
    hours = ((edges[:-1] + edges[1:]) / 2 - first) / 3_600_000
    return hours.tolist(), held.tolist()


def _held(outcome: Outcome) -> tuple[Ints, Ints]:
    """Return (instants, unit-milliseconds held until each) of jobs that never stop."""
    units, jobs = units_of(outcome), outcome.jobs
    at = np.concatenate([jobs["start_ms"], jobs["end_ms"]])
    order = np.argsort(at, kind="stable")
    now_held = np.cumsum(np.concatenate([units, -units])[order])
    spent = np.concatenate([[0], np.cumsum(now_held[:-1] * np.diff(at[order]))])
    return at[order], spent


def by_size(outcome: Outcome) -> tuple[list[str], list[float]]:
    """Return (size, mean bounded slowdown) of jobs up to 1, 2, 4, 8 … units."""
    group = np.ceil(np.log2(np.maximum(units_of(outcome), 1))).astype(np.int64)
    bsld = slowdowns_of(outcome)
    sizes = sorted({int(each) for each in group})
    names = [str(2**size) if size < 2 else f"{2 ** (size - 1) + 1}–{2**size}" for size in sizes]
    return names, [float(bsld[group == size].mean()) for size in sizes]


def by_job() -> dict[str, Any]:
    """Return what a resample of jobs is measured by: a value for each job, and how it is told."""
    return {
        "wait_mean_s": (waits_s, np.mean),
        "wait_p90_s": (waits_s, _p90),
        "jct_mean_s": (completions_s, np.mean),
        "ave_bsld": (slowdowns_of, np.mean),
    }


def _p90(values: Floats) -> float:
    return float(np.percentile(values, 90))
