"""Muri's trace3 on 64 devices: SRSF that ages against published SRSF and Themis.

Who goes first knows what SRSF knows, how long each job runs, and no devices are shared. Published
are SRTF 193 082 s on average and 4 538 891 s at the 99th percentile, SRSF 185 022 and 4 189 699,
Tiresias-L 347 213 and 4 983 397, Themis 397 059 and 2 967 333.
"""

from pathlib import Path

from benchmarks.quality.rows import QualityRow
from intertie.simulator import preemptive
from intertie.simulator.running import Setting
from intertie.simulator.traces.reading import read_trace

DAY_US = 86_400 * preemptive.US
# What is measured, by its name and in words; whose published value is the aim.
AIMS = (
    ("jct_mean_s", "mean completion s", 185_022, "published is SRSF"),
    ("jct_p99_above_s", "p99 completion s", 2_967_333, "published is Themis, mean 397 059 s"),
)


def rows(traces: Path) -> list[QualityRow]:
    """Return mean and 99th percentile of the time to completion, SRSF run here as the baseline."""
    trace = read_trace(traces / "muri/trace3.csv")
    srsf = preemptive.run("srsf", trace, Setting()).measures
    aged = preemptive.run("srsf-aged", trace, Setting()).measures
    chosen = f"patience {preemptive.PATIENCE_US // DAY_US} days, chosen on ITP's clusters"
    return [
        QualityRow(
            "Muri trace3, SRSF that ages",
            words,
            published,
            srsf[measure],
            aged[measure],
            aged[measure] < published,
            f"{whose}; {chosen}",
        )
        for measure, words, published, whose in AIMS
    ]
