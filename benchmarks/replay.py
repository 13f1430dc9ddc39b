"""`python -m benchmarks replay --traces FOLDER`: how fast the kernel of the place step is.

*Fused*: one compiled loop. *By step*: Python asks for one event after another, as the live decider
asks for rounds; both must start every job at the same instant. Times are of the processor, after
the kernels were compiled, the best of a few runs, for the machine is shared.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from time import process_time

from benchmarks.traces import clusters, options
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Ints, Trace, merged

WHAT = "trace jobs replayed a second, fused and by step, with equal starts"
KTH = "swf/KTH-SP2-1996.swf.gz"
RUNS = 5
AIMS = {"KTH-SP2 EASY, fused": 1_000_000, "KTH-SP2 EASY, by step": 40_000}


@dataclass(frozen=True)
class Speed:
    """One way to replay one trace: how many jobs, and how many of them a second."""

    name: str
    jobs: int
    jobs_per_s: int


def measure(folder: Path) -> tuple[list[Speed], bool]:
    """Return the speeds, and whether both ways start KTH's jobs alike."""
    kth = read_trace(folder / KTH)
    pool = merged([trace for trace, _ in clusters(folder, 1)])
    devices = sum(each for _, each in clusters(folder, 4))
    easy, true = ReplayPolicy("easy"), ReplayPolicy("easy", is_perfect=True)
    fused, starts = _speed("KTH-SP2 EASY, fused", kth, kth.capacity, easy)
    stepped, same = _speed("KTH-SP2 EASY, by step", kth, kth.capacity, easy, is_by_step=True)
    itp, _ = _speed(f"ITP as one, {devices} devices, EASY", pool, devices, true)
    return [fused, stepped, itp], _digest(starts) == _digest(same)


def _speed(
    name: str, trace: Trace, capacity: int, policy: ReplayPolicy, is_by_step: bool = False
) -> tuple[Speed, Ints]:
    best, starts = float("inf"), trace.submit_ms
    for _ in range(RUNS + 1):  # the first compiles, or loads what was compiled
        began = process_time()
        starts = replay(trace, capacity, policy, is_by_step)
        best = min(best, process_time() - began)
    return Speed(name, len(trace), int(len(trace) / best)), starts


def _digest(starts: Ints) -> str:
    return sha256(starts.tobytes()).hexdigest()


def main(words: list[str]) -> int:
    """Print the speeds; return 1 if the two ways differ."""
    told = options("replay", WHAT, words)
    found, is_same = measure(told.traces)
    figure = f"{found[0].jobs_per_s:,} jobs/s fused; equal starts: {'yes' if is_same else 'NO'}"
    if told.json:
        print(json.dumps({"rows": [asdict(each) for each in found], "figure": figure}, indent=2))
    else:
        print(f"{'':40}{'jobs':>10}{'jobs/s':>14}{'aim':>14}")
        for each in found:
            aim = AIMS.get(each.name)
            told_aim = f"{aim:14,}" if aim else f"{'':14}"
            print(f"{each.name:40}{each.jobs:10,}{each.jobs_per_s:14,}{told_aim}")
        print(f"\n{figure}")
    return 0 if is_same else 1
