"""`python -m benchmarks.quality.patience --traces FOLDER`: how `srsf-aged` got its patience.

On ITP's clusters of fewer than 6 000 jobs, paused and started at 10 s each, on as many nodes of 8
as their jobs would keep busy for 80 % or for all of the time. Of a grid, the one is chosen that has
the least product of mean and 99th percentile of the time to completion, each as a part of SRSF's
(geometric mean over clusters and loads). No trace on which `quality` reports is read.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.traces import options
from intertie.simulator import preemptive
from intertie.simulator.traces.muri import NODE_DEVICES, PausableTrace
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Trace

CLUSTERS = (1, 2, 3, 5, 6, 10)
LOADS = (0.8, 1.0)
PATIENCES_DAYS = (3, 10, 20, 30, 45, 60, 90)
DAY_US = 86_400 * preemptive.US
RESTART_US = 10 * preemptive.US


def main(words: list[str]) -> int:
    """Print each patience with what it costs and brings, and the one that is chosen; return 0."""
    told = options("quality.patience", "how srsf-aged got its patience", words)
    ratios = measure(told.traces)
    print(f"{'patience, days':>16}{'mean':>10}{'p99':>10}{'product':>10}")
    for days, (mean, p99) in ratios.items():
        print(f"{days:16}{mean:10.5f}{p99:10.5f}{mean * p99:10.5f}")
    print(f"\nchosen: {min(ratios, key=lambda days: np.prod(ratios[days]))} days")
    return 0


def measure(traces: Path) -> dict[int, NDArray[np.float64]]:
    """Return (mean, p99) of each patience as parts of SRSF's."""
    sets = [
        _paused(read_trace(traces / f"itp/raw/cluster{number:02}.csv"), load)
        for number in CLUSTERS
        for load in LOADS
    ]
    found: dict[int, list[NDArray[np.float64]]] = {days: [] for days in PATIENCES_DAYS}
    for trace in sets:
        srsf = _completion(trace, "srsf", DAY_US)
        for days, ratios in found.items():
            ratios.append(np.log(_completion(trace, "srsf-aged", days * DAY_US) / srsf))
    return {days: np.exp(np.mean(ratios, axis=0)) for days, ratios in found.items()}


def _paused(trace: Trace, load: float) -> PausableTrace:
    service_ms = float((trace.run_ms.astype(np.float64) * trace.units).sum())
    span_ms = float(trace.submit_ms[-1] - trace.submit_ms[0])
    wanted = service_ms / span_ms / load / NODE_DEVICES
    nodes = max(int(np.ceil(wanted)), -(-int(trace.units.max()) // NODE_DEVICES))
    return PausableTrace(
        trace.submit_ms,
        trace.run_ms,
        trace.length_ms,
        trace.units,
        trace.user,
        trace.home,
        nodes * NODE_DEVICES,
        trace.run_ms * 1000,
        np.full(len(trace), RESTART_US),
    )


def _completion(trace: PausableTrace, order: str, patience_us: int) -> NDArray[np.float64]:
    found = preemptive.replay(trace, trace.capacity, order, patience_us)
    jct = found.end_us - trace.submit_ms * 1000
    return np.array([jct.mean(), np.percentile(jct, 99, method="higher")])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
