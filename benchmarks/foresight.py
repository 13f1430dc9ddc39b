"""`python -m benchmarks foresight`: what a network says of the time ahead, held against it.

Seeded streams of jobs through the whole river on a virtual clock: deadlines that were promised and
kept, and expected starts that were shown, by how true the lengths are that users state.
"""

import argparse
import json
from dataclasses import asdict, dataclass

from intertie.model.policy import Policy
from tests.support.streams import HONESTY, a_stream

WHAT = "deadlines that were promised and kept, and expected starts that were in their range"


@dataclass
class Row:
    """One kind of stream, all seeds together. Shown starts count once for each time."""

    lengths: str
    promise_by: str
    promised: int = 0
    refused: int = 0
    late: int = 0
    shown: int = 0
    within: int = 0
    early: int = 0
    late_starts: int = 0
    off_s: int = 0
    range_s: int = 0
    scored_jobs: int = 0


def measure(seeds: int, jobs: int, load_percent: int) -> list[Row]:
    """Return a row for each honesty of lengths and each policy of promising."""
    rows = [Row(lengths, by) for lengths in HONESTY for by in ("long", "likely")]
    for row in rows:
        policy = Policy(busy_poll_ms=5_000, promise_by=row.promise_by)
        for seed in range(1, seeds + 1):
            told = a_stream(seed, jobs, load_percent, row.lengths, policy)
            row.promised += len(told.due)
            row.refused += len(told.refused)
            row.late += told.late()
            for score in told.starts():
                row.shown += score["shown"]
                row.within += score["within"]
                row.early += score["early"]
                row.late_starts += score["late"]
                row.off_s += score["off_s"]
                row.range_s += (score["high_at"] - score["low_at"]) // 1000
                row.scored_jobs += 1
    return rows


def main(words: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks foresight", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=150)
    parser.add_argument("--load", type=int, default=100, help="per cent of the cores")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    told = parser.parse_args(words)
    rows = measure(told.seeds, told.jobs, told.load)
    if told.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    print("lengths          by      promised refused  kept %   shown within %  off s range s")
    for row in rows:
        kept = 100 * (1 - row.late / max(1, row.promised))
        within, jobs = 100 * row.within / max(1, row.shown), max(1, row.scored_jobs)
        print(
            f"{row.lengths:16} {row.promise_by:7} {row.promised:8} {row.refused:7} {kept:7.2f}"
            f" {row.shown:7} {within:8.2f} {row.off_s / jobs:6.0f} {row.range_s / jobs:7.0f}"
        )
    return 0
