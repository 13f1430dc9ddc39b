"""Muri's trace3 on 64 devices: SRSF that ages against published SRSF and Themis.

Who goes first knows what SRSF knows, how long each job runs, and no devices are shared. Published
are SRTF 193 082 s on average and 4 538 891 s at the 99th percentile, SRSF 185 022 and 4 189 699,
Tiresias-L 347 213 and 4 983 397, Themis 397 059 and 2 967 333.
"""

from pathlib import Path

import numpy as np

from benchmarks.quality.rows import QualityRow
from intertie.simulator import preemptive
from intertie.simulator.running import Setting
from intertie.simulator.traces.muri import PausableTrace
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Ints

SRSF_MEAN_S, THEMIS_P99_S = 185_022, 2_967_333
DAY_US = 86_400 * preemptive.US
PATIENCES_DAYS = (10, 20, 30, 45, 60, 90)
CHOSEN_ON = 0.3  # of the trace, by submission


def rows(traces: Path) -> list[QualityRow]:
    """Return mean and 99th percentile of the time to completion, and how patience was chosen."""
    trace = read_trace(traces / "muri/trace3.csv")
    srsf = preemptive.run("srsf", trace, Setting())
    aged = preemptive.run("srsf-aged", trace, Setting())
    rest = slice(int(len(trace) * CHOSEN_ON), None)
    ours, theirs = _completion(aged.jobs)[rest], _completion(srsf.jobs)[rest]
    note = (
        f"patience {preemptive.PATIENCE_US // DAY_US} days, chosen on the first 30 % "
        f"(best there: {_best(trace)}); on the rest mean {ours.mean():,.0f} s, SRSF "
        f"{theirs.mean():,.0f}; p99 {_p99(ours):,.0f} s, SRSF {_p99(theirs):,.0f}"
    )
    return [
        _row("mean completion s", "jct_mean_s", SRSF_MEAN_S, srsf.measures, aged.measures, note),
        _row(
            "p99 completion s",
            "jct_p99_above_s",
            THEMIS_P99_S,
            srsf.measures,
            aged.measures,
            "published is Themis's, whose mean is 397 059 s; the baseline is SRSF",
        ),
    ]


def _row(
    named: str,
    measure: str,
    published: float,
    baseline: dict[str, float],
    ours: dict[str, float],
    note: str,
) -> QualityRow:
    is_reached = ours[measure] < published
    name = "Muri trace3, SRSF that ages"
    return QualityRow(name, named, published, baseline[measure], ours[measure], is_reached, note)


def _best(trace: PausableTrace) -> str:
    """Return which patience gives the least mean completion on the first part of a trace."""
    first = trace.first(int(len(trace) * CHOSEN_ON))
    means = {}
    for days in PATIENCES_DAYS:
        found = preemptive.replay(first, first.capacity, "srsf-aged", days * DAY_US)
        means[days] = float((found.end_us - first.submit_ms * 1000).mean())
    return f"{min(means, key=means.__getitem__)} days of {', '.join(map(str, PATIENCES_DAYS))}"


def _completion(jobs: dict[str, Ints]) -> Ints:
    return (jobs["end_ms"] - jobs["submit_ms"]) / 1000


def _p99(jct_s: Ints) -> float:
    return float(np.percentile(jct_s, 99, method="higher"))
