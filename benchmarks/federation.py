"""`python -m benchmarks federation --traces FOLDER`: ten clusters alone, as one pool, and joined.

FOLDER holds `itp/raw/cluster01.csv` … of Microsoft ITP (69 351 jobs in 60 days). True
lengths, EASY.
*Joined*: each cluster stays itself, a job runs as one piece on one of them, at home where there is
room and else elsewhere. Not counted yet: latency, data, fair share, and owners who take back.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.traces import DEVICES, clusters, options
from intertie.simulator.replay import ReplayPolicy, replay, replay_together
from intertie.simulator.scoreboard import slowdowns
from intertie.simulator.traces.trace import Ints, Trace, merged

WHAT = "ten real clusters alone, as one pool, and joined: how much of the pooling gain is kept"
EASY = ReplayPolicy("easy", is_perfect=True)
PARTS = (1, 2, 4)


@dataclass(frozen=True)
class Row:
    """One way at one capacity; by job. `worse_off` counts the homes that waited less alone."""

    devices: int
    way: str
    wait_mean_s: float
    bsld_mean: float
    kept_wait: float
    kept_bsld: float
    worse_off: int


def measure(folder: Path) -> list[Row]:
    """Return the three ways at each capacity."""
    rows = []
    for part in PARTS:
        own = clusters(folder, part)
        trace, capacity = merged([each for each, _ in own]), [devices for _, devices in own]
        alone = np.zeros(len(trace), np.int64)
        for home, (jobs, devices) in enumerate(own):
            alone[trace.home == home] = replay(jobs, devices, EASY)
        pooled = replay(trace, sum(capacity), EASY)
        rank = np.where(np.eye(len(own), dtype=bool), 0, 1).astype(np.int64)
        joined, _ = replay_together(trace, capacity, rank, EASY)
        for way, starts in (("alone", alone), ("one pool", pooled), ("joined", joined)):
            rows.append(_row(trace, sum(capacity), way, starts, alone, pooled))
    return rows


def _row(trace: Trace, devices: int, way: str, starts: Ints, alone: Ints, pooled: Ints) -> Row:
    ways = [_means(trace, each) for each in (starts, alone, pooled)]
    (wait, bsld), (wait_alone, bsld_alone), (wait_pooled, bsld_pooled) = ways
    worse = sum((starts - alone)[trace.home == home].mean() > 0 for home in np.unique(trace.home))
    return Row(
        devices,
        way,
        wait,
        bsld,
        (wait_alone - wait) / (wait_alone - wait_pooled),
        (bsld_alone - bsld) / (bsld_alone - bsld_pooled),
        int(worse),
    )


def _means(trace: Trace, starts: Ints) -> tuple[float, float]:
    """Return the mean wait in seconds and the mean bounded slowdown, by job."""
    wait = float((starts - trace.submit_ms).mean()) / 1000
    return wait, float(slowdowns(trace, starts).mean())


def main(words: list[str]) -> int:
    """Print the table and the share of the gain that is kept at the least capacity; return 0."""
    told = options("federation", WHAT, words)
    found = measure(told.traces)
    joined = [row for row in found if row.way == "joined"]
    least = min(row.kept_wait for row in joined)
    worst = max(row.worse_off for row in joined)
    figure = f"joined, {least:.1%} or more of the gain in wait is kept; homes worse off: {worst} of"
    figure += f" {len(DEVICES)}"
    if told.json:
        shown: dict[str, Any] = {"rows": [asdict(row) for row in found], "figure": figure}
        print(json.dumps(shown, indent=2))
        return 0
    head = ("devices", "way", "mean wait (s)", "mean bsld", "gain kept", "worse off")
    print("{:>8}  {:10}{:>15}{:>12}{:>12}{:>12}".format(*head))
    for row in found:
        print(
            f"{row.devices:8}  {row.way:10}{row.wait_mean_s:15,.1f}{row.bsld_mean:12.4f}"
            f"{row.kept_wait:12.1%}{row.worse_off:12}"
        )
    print(f"\n{figure}")
    return 0
