"""Jobs that take turns: what was published of Shockwave's trace, and how far a division may be off.

The published figures are of linear programs solved by an interior-point method; ours are the same
programs in closed form, so ties fall otherwise: one in a hundred is allowed.
"""

from pathlib import Path
from time import process_time
from typing import Any

from intertie.simulator.policies import policies_for
from intertie.simulator.running import Setting
from intertie.simulator.traces.reading import read_trace

NAME = "120_0.2_5_100_40_25_0,0.5,0.5_0.6,0.3,0.09,0.01_multigpu_dynamic.trace"
DEVICES = 32
PUBLISHED = (
    ("Gavel max-min", "max-min", 33207.66, 11274.12),
    ("MST", "most-steps", 31909.03, 9654.70),
    ("OSSP", "least-makespan", 24204.82, 19806.73),
)
OFF = 0.01


def shockwave(folder: Path) -> Any:
    """Return the trace of 120 jobs with the speeds that were measured for it."""
    return read_trace(folder / "shockwave" / NAME, folder / "shockwave/tacc_throughputs.json")


def gates(folder: Path) -> list[tuple[str, float, float, int, float]]:
    """Return (name, published, found, jobs a second, how far off is allowed) of each figure."""
    trace = shockwave(folder)
    policies, rows = policies_for(trace), []
    for name, policy, makespan, jct in PUBLISHED:
        policies[policy].run(trace, Setting(DEVICES))
        began = process_time()
        found = policies[policy].run(trace, Setting(DEVICES)).measures
        speed = int(len(trace) / (process_time() - began))
        for what, measure, published in (
            ("makespan s", "makespan_s", makespan),
            ("mean completion s", "jct_mean_s", jct),
        ):
            rows.append(
                (f"Shockwave, {name}, {what}", published, found[measure], speed, OFF * published)
            )
    return rows
