"""`python -m benchmarks gates --traces FOLDER`: published numbers that a replay must reproduce.

FOLDER holds `swf/KTH-SP2-1996.swf.gz` of the Parallel Workloads Archive. The figures are those of
the SC'15 simulator on that log (28 481 jobs that ran, lengths of at least the run time). Times are
of the processor, after the kernels were compiled.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

from intertie.simulator.replay import Order, replay
from intertie.simulator.scoreboard import score
from intertie.simulator.traces.reading import read_trace

WHAT = "published results on real traces, reproduced by the place step's own kernel"
KTH = "swf/KTH-SP2-1996.swf.gz"
GATES = (
    ("FCFS", Order("nobody"), 6814.97),
    ("EASY", Order("easy"), 92.5765),
    ("EASY, one round an instant", Order("easy", is_by_event=False), 92.69),
    ("EASY, shortest behind (SJBF)", Order("shortest"), 69.4054),
    ("EASY, perfect lengths", Order("easy", is_perfect=True), 71.7224),
)


@dataclass(frozen=True)
class Gate:
    """One gate: the mean bounded slowdown that was published, and what was found."""

    name: str
    published: float
    found: float
    jobs_per_s: int

    @property
    def holds(self) -> bool:
        """Return whether they agree to the last digit that was published."""
        digits = len(str(self.published).partition(".")[2])
        return round(self.found, digits) == self.published


def measure(folder: Path) -> list[Gate]:
    """Return every gate on the traces of a folder; BadTrace or OSError if one cannot be read."""
    trace = read_trace(folder / KTH)
    found = []
    for name, order, published in GATES:
        replay(trace.first(100), trace.capacity, order)
        began = process_time()
        starts = replay(trace, trace.capacity, order)
        took_s = process_time() - began
        bsld = score(trace, starts, trace.capacity).ave_bsld
        found.append(Gate(f"KTH-SP2 {name}", published, bsld, int(len(trace) / took_s)))
    return found


def main(words: list[str]) -> int:
    """Print the gates and how many hold; return 1 if one does not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gates", description=WHAT)
    parser.add_argument("--traces", type=Path, required=True, help="the folder with the traces")
    parser.add_argument("--json", action="store_true", help="print the gates as JSON")
    told = parser.parse_args(words)
    found = measure(told.traces)
    held = sum(gate.holds for gate in found)
    figure = f"{held} of {len(found)} gates hold"
    if told.json:
        print(json.dumps({"gates": [asdict(gate) for gate in found], "figure": figure}, indent=2))
    else:
        print(f"{'mean bounded slowdown':40}{'published':>12}{'found':>14}{'trace jobs/s':>14}")
        for gate in found:
            print(f"{gate.name:40}{gate.published:12}{gate.found:14.4f}{gate.jobs_per_s:14,}")
        print(f"\n{figure}")
    return 0 if held == len(found) else 1
