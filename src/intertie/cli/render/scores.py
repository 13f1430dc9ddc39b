"""The scoreboard of a replay: one row for each measure, one column for each policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import text

if TYPE_CHECKING:
    from intertie.simulator.scoreboard import Score

SHOWN = (
    ("wait_mean_s", "{:,.0f} s"),
    ("wait_p50_s", "{:,.0f} s"),
    ("wait_p90_s", "{:,.0f} s"),
    ("jct_mean_s", "{:,.0f} s"),
    ("jct_p99_s", "{:,.0f} s"),
    ("ave_bsld", "{:,.4f}"),
    ("makespan_s", "{:,.0f} s"),
    ("occupancy", "{:.1%}"),
)


def scores_table(scores: dict[str, Score], trace: str, capacity: int, lang: str) -> RenderableType:
    """Return the jobs and the capacity on a line, and the table."""
    jobs = next(iter(scores.values())).jobs
    title = text(lang, "cli.simulate.title", trace=trace, jobs=jobs, capacity=capacity)
    table = Table()
    table.add_column("")
    for name in scores:
        table.add_column(name, justify="right")
    for measure, shape in SHOWN:
        values = [shape.format(getattr(score, measure)) for score in scores.values()]
        table.add_row(text(lang, f"cli.simulate.{measure}"), *values)
    return Group(Text(title), table)
