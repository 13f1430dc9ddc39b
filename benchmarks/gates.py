"""`python -m benchmarks gates --traces FOLDER`: published numbers that a replay must reproduce.

FOLDER holds `swf/KTH-SP2-1996.swf.gz` of the Parallel Workloads Archive, whose figures are those of
the SC'15 simulator on that log (28 481 jobs that ran, lengths of at least the run time); and
`itp/raw/cluster01.csv` … of Microsoft ITP (69 351 jobs), each cluster by itself and all as one,
with true lengths; `muri/trace3.csv` on 64 devices, whose figures are those of Muri's simulator;
`shockwave/` with its table of speeds; and `openb/` of Alibaba, as hkust-adsl published its runs.
Times are of the processor, after the kernels were compiled.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

from benchmarks import fragments, turns
from benchmarks.traces import clusters, options
from intertie.simulator import preemptive
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.running import Setting
from intertie.simulator.scoreboard import score
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Trace, merged

WHAT = "published results on real traces, reproduced by the place step's own kernel"
KTH = "swf/KTH-SP2-1996.swf.gz"
GATES = (
    ("FCFS", ReplayPolicy("fcfs"), 6814.97),
    ("EASY", ReplayPolicy("easy"), 92.5765),
    ("EASY, one round an instant", ReplayPolicy("easy", is_by_event=False), 92.69),
    ("EASY, shortest behind (SJBF)", ReplayPolicy("easy-sjbf"), 69.4054),
    ("EASY, perfect lengths", ReplayPolicy("easy", is_perfect=True), 71.7224),
)
# What was published of ITP's clusters with all, halves and quarters of their devices.
CLUSTERS = (("alone", 1, 1.02), ("alone", 2, 5.89), ("as one", 1, 1.0), ("as one", 4, 1.03))
TRUE = ReplayPolicy("easy", is_perfect=True)
MURI = "muri/trace3.csv"
PAUSED = (
    ("srtf", "jct_mean_s", 193081.796),
    ("srtf", "makespan_s", 8174135),
    ("srtf", "jct_p99_above_s", 4538891),
    ("srsf", "jct_mean_s", 185021.88),
    ("srsf", "makespan_s", 8174135),
    ("srsf", "jct_p99_above_s", 4189699),
)


@dataclass(frozen=True)
class Gate:
    """One gate: what was published, and what was found."""

    name: str
    published: float
    found: float
    jobs_per_s: int
    allowed: float = 0.0

    @property
    def holds(self) -> bool:
        """Return whether they agree to the last digit published, or differ as is allowed."""
        if self.allowed:
            return abs(self.found - self.published) <= self.allowed
        digits = len(str(self.published).partition(".")[2])
        return round(self.found, digits) == self.published


def measure(folder: Path) -> list[Gate]:
    """Return every gate on the traces of a folder; BadTrace or OSError if one cannot be read."""
    trace = read_trace(folder / KTH)
    replay(trace.first(100), trace.capacity, TRUE)
    found = [
        _gate(f"KTH-SP2 {name}", published, [(trace, trace.capacity)], policy)
        for name, policy, published in GATES
    ]
    for how, part, published in CLUSTERS:
        parts = clusters(folder, part)
        devices = sum(each for _, each in parts)
        if how == "as one":
            parts = [(merged([each for each, _ in parts]), devices)]
        name = f"ITP's clusters {how}, {devices} devices"
        found.append(_gate(name, published, parts, TRUE))
    rows = [*turns.gates(folder), *fragments.gates(folder)]
    return [*found, *_paused(folder), *(Gate(*row) for row in rows)]


def _paused(folder: Path) -> list[Gate]:
    trace, found = read_trace(folder / MURI), []
    outcomes: dict[str, tuple[dict[str, float], int]] = {}
    for order, measure, published in PAUSED:
        if order not in outcomes:
            began = process_time()
            measures = preemptive.run(order, trace, Setting()).measures
            outcomes[order] = measures, int(len(trace) / (process_time() - began))
        measures, jobs_per_s = outcomes[order]
        found.append(
            Gate(f"Muri {order.upper()}, {measure}", published, measures[measure], jobs_per_s)
        )
    return found


def _gate(
    name: str, published: float, parts: list[tuple[Trace, int]], policy: ReplayPolicy
) -> Gate:
    """Return the gate of some traces, each on a machine of its own; the mean is over all jobs."""
    jobs = sum(len(trace) for trace, _ in parts)
    began, total = process_time(), 0.0
    for trace, capacity in parts:
        total += score(trace, replay(trace, capacity, policy), capacity).ave_bsld * len(trace)
    return Gate(name, published, total / jobs, int(jobs / (process_time() - began)))


def main(words: list[str]) -> int:
    """Print the gates and how many hold; return 1 if one does not."""
    told = options("gates", WHAT, words)
    found = measure(told.traces)
    held = sum(gate.holds for gate in found)
    figure = f"{held} of {len(found)} gates hold"
    if told.json:
        print(json.dumps({"gates": [asdict(gate) for gate in found], "figure": figure}, indent=2))
    else:
        what = "mean bounded slowdown, or as named"
        print(f"{what:44}{'published':>12}{'found':>14}{'trace jobs/s':>14}")
        for gate in found:
            print(f"{gate.name:44}{gate.published:12}{gate.found:14.4f}{gate.jobs_per_s:14,}")
        print(f"\n{figure}")
    return 0 if held == len(found) else 1
