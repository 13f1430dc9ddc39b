"""`python -m benchmarks predictions --traces FOLDER`: how well run times are foreseen.

Each job's length is foreseen when it comes, from those that had ended by then under EASY, and
scored when it ends. KTH-SP2 has users and stated lengths, NASA-iPSC users alone, and the clusters
of ITP neither: there all a job's class says is its size. *inside* should be 80 % (from the low to
the high quantile) and *below* 90 %.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.traces import DEVICES, options
from intertie.planner.predicting import ENDLESS_MS, foresee, foresight_of, learn
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Ints, Trace

WHAT = "run times foreseen from history: how often they are in the range, and how far they miss"
TRACES = {
    "KTH-SP2": ("swf/KTH-SP2-1996.swf.gz", 100),
    "NASA-iPSC": ("swf/NASA-iPSC-1993-3.1-cln.swf.gz", 128),
    "ITP, cluster 3": ("itp/raw/cluster03.csv", DEVICES[3]),
    "ITP, cluster 7": ("itp/raw/cluster07.csv", DEVICES[7]),
}
BEGINNING = 100  # the first so many jobs are learnt from and not scored


@dataclass(frozen=True)
class Row:
    """Of one trace under one way to foresee, in shares of its jobs.

    `missed_by` is the median factor between what was likely and what was; of those that take less
    than was likely it is turned over. Ranges are 0 where a way has none.
    """

    trace: str
    way: str
    jobs: int
    inside_share: float
    below_share: float
    missed_by: float


def measure(folder: Path) -> list[Row]:
    """Return every way on every trace; BadTrace or OSError if one cannot be read."""
    told = []
    for name, (path, capacity) in TRACES.items():
        trace = read_trace(folder / path)
        ends = replay(trace, capacity, ReplayPolicy("easy")) + trace.run_ms
        for way in ("stated", "last-two", "history"):
            if way != "stated" or trace.is_stated:
                told.append(_row(name, way, trace, _foreseen(trace, ends, way)))
    return told


def _foreseen(trace: Trace, ends: Ints, way: str) -> Ints:
    """Return what was foreseen of each job when it came; axes [job, low | likely | high]."""
    stated = trace.length_ms if trace.is_stated else np.full(len(trace), ENDLESS_MS)
    foresight, found = foresight_of(way, trace.user, trace.units, stated), []
    by_end, ended = np.argsort(ends, kind="stable").tolist(), 0
    user, limit, run = trace.user.tolist(), stated.tolist(), trace.run_ms.tolist()
    for job, submit in enumerate(trace.submit_ms.tolist()):
        while ends[by_end[ended]] <= submit:
            each = by_end[ended]
            learn(foresight, each, user[each], limit[each], run[each])
            ended += 1
        found.append(foresee(foresight, job, user[job], limit[job]))
    return np.array(found, np.int64)


def _row(name: str, way: str, trace: Trace, foreseen: Ints) -> Row:
    run = trace.run_ms[BEGINNING:]
    low, likely, high = foreseen[BEGINNING:].T
    missed = np.exp(np.median(np.abs(np.log(likely / run))))
    has_range = way == "history"
    inside = ((low <= run) & (run <= high)).mean() if has_range else 0.0
    below = (run <= high).mean() if has_range else 0.0
    return Row(name, way, len(run), float(inside), float(below), float(missed))


def main(words: list[str]) -> int:
    """Print the rows; return 0."""
    told = options("predictions", WHAT, words)
    found = measure(told.traces)
    if told.json:
        print(json.dumps([asdict(row) for row in found], indent=2))
        return 0
    print(f"{'':20}{'foreseen by':14}{'jobs':>8}{'inside':>10}{'below':>10}{'missed by':>12}")
    for row in found:
        shares = f"{row.inside_share:10.1%}{row.below_share:10.1%}"
        print(f"{row.trace:20}{row.way:14}{row.jobs:8,}{shares}{row.missed_by:11.2f}×")
    return 0
