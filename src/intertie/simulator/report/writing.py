"""A report: everything that `intertie simulate --out` leaves in its folder."""

from pathlib import Path
from typing import Any

from intertie.simulator.report.measures import has_jobs
from intertie.simulator.report.page import Told, write_page
from intertie.simulator.report.resampling import RESAMPLES, intervals
from intertie.simulator.report.tables import write_jobs, write_scoreboard
from intertie.simulator.running import Outcome


def write_report(
    found: dict[str, dict[str, Outcome]], seed: int, command: str, lang: str, folder: Path
) -> None:
    """Write jobs, scoreboard and page of each trace's outcomes by label; OSError if it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    told = [Told(trace, outcomes, _intervals(outcomes, seed)) for trace, outcomes in found.items()]
    for each in told:
        write_jobs(each.outcomes, folder / f"{each.trace}.jobs.parquet")
    scores = {"command": command, "seed": seed, "resamples": RESAMPLES,
              "traces": [_scores(each) for each in told]}  # fmt: skip
    write_scoreboard(scores, folder)
    write_page(told, command, lang, folder)


def _intervals(outcomes: dict[str, Outcome], seed: int) -> dict[str, Any]:
    return intervals(outcomes, seed) if all(map(has_jobs, outcomes.values())) else {}


def _scores(told: Told) -> dict[str, Any]:
    return {
        "trace": told.trace,
        "scores": {label: each.measures for label, each in told.outcomes.items()},
        "intervals_95": told.intervals,
    }
