"""Shockwave's trace: 120 jobs on 32 devices, our order against seven published schedulers.

Published are makespan s / mean completion s / worst ρ / share of jobs with ρ > 1.05: Shockwave
24 197 / 9 958 / 1.78 / 5.0 %, MST 31 909 / 9 655 / 4.98 / 25 %, OSSP 24 205 / 19 807 / 7.74 /
74.2 %, Gavel 33 208 / 11 274 / 2.95 / 25 %. The baseline of each row is the best of those that run
here. What a job's profile tells is what Shockwave was told: how many epochs, and its batch sizes.
Nothing was chosen on this trace: *balanced* has one number, how many slices ahead it looks, which
was set to two when the order was written. The row of Gavel's trace tells what it is worth to know
on which class of device a job is fast.
"""

from pathlib import Path

from benchmarks.quality.rows import QualityRow
from benchmarks.turns import DEVICES, PUBLISHED, shockwave
from intertie.simulator.policies import policies_for
from intertie.simulator.running import Setting
from intertie.simulator.traces.reading import read_trace

OURS = "balanced"
BASELINES = tuple(policy for _, policy, _, _ in PUBLISHED)
# The measure, and the aim, which is the best that any published scheduler reached.
AIMS = (
    ("makespan_s", 24197.4, "Shockwave"),
    ("jct_mean_s", 9654.7, "MST"),
    ("rho_max", 1.78, "Shockwave"),
    ("unfair_share", 0.05, "Shockwave"),
)
GAVEL = "gavel/msr_seed0/ed69ec.trace.gz"
CLASSES = (("v100", 12), ("p100", 12), ("k80", 12))
GAVEL_SLICE_MS = 360_000


def rows(traces: Path) -> list[QualityRow]:
    """Return a row for each measure, which hold all at once, and one of three device classes."""
    found = front(traces)
    ours = found[OURS]
    told = [
        QualityRow(
            "Shockwave, 120 jobs on 32 devices",
            measure,
            aim,
            min(found[policy][measure] for policy in BASELINES),
            ours[measure],
            ours[measure] <= aim,
            f"published is {who}'s",
        )
        for measure, aim, who in AIMS
    ]
    return [*told, _classes(traces)]


def front(traces: Path) -> dict[str, dict[str, float]]:
    """Return all measures of every policy on the trace: what a plot of their front is made of."""
    trace = shockwave(traces)
    return {
        name: policy.run(trace, Setting(DEVICES)).measures
        for name, policy in policies_for(trace).items()
        if not name.endswith("-blind")
    }


def _classes(traces: Path) -> QualityRow:
    trace = read_trace(traces / GAVEL, traces / "gavel/simulation_throughputs.json")
    setting = Setting(devices=CLASSES, slice_ms=GAVEL_SLICE_MS)
    policies = policies_for(trace)
    knows, blind = (
        policies[name].run(trace, setting).measures["jct_mean_s"]
        for name in ("shortest", "shortest-blind")
    )
    return QualityRow(
        "Gavel msr ed69ec, 12 of v100, p100, k80",
        "jct_mean_s",
        0.0,
        blind,
        knows,
        knows < blind,
        f"nobody published it; shortest first; blind takes {blind / knows:.2f} times as long",
    )
