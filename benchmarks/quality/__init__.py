"""`python -m benchmarks quality --traces FOLDER`: published results, baselines and ours in one run.

Each module has `rows(traces) -> list[QualityRow]`; parameters were chosen on what is not reported.
"""

import json
from dataclasses import asdict

from benchmarks.quality.rows import QualityRow
from benchmarks.traces import options

WHAT = "published results of others, the same baselines run here, and ours"
MODULES = ("kth", "openb", "muri", "shockwave", "deadlines")


def main(words: list[str]) -> int:
    """Print a row for each measure, and how many were reached; return 0."""
    from importlib import import_module

    told = options("quality", WHAT, words)
    found: list[QualityRow] = []
    for name in MODULES:
        found += import_module(f"benchmarks.quality.{name}").rows(told.traces)
    reached = sum(row.is_reached for row in found)
    figure = f"{reached} of {len(found)} reached"
    if told.json:
        print(json.dumps({"rows": [asdict(row) for row in found], "figure": figure}, indent=2))
        return 0
    print(f"{'':44}{'measure':26}{'published':>14}{'baseline':>14}{'ours':>14}  reached")
    for row in found:
        numbers = f"{row.published:14,.4g}{row.baseline:14,.4g}{row.ours:14,.4g}"
        print(f"{row.name:44}{row.measure:26}{numbers}  {'yes' if row.is_reached else 'no'}")
        if row.note:
            print(f"    {row.note}")
    print(f"\n{figure}")
    return 0
