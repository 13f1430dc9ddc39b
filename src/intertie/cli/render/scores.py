"""The scoreboard of simulated runs: one row for each measure, one column for each policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import text
from intertie.simulator.report.page import shown

if TYPE_CHECKING:
    from intertie.simulator.running import Outcome


def scores_table(outcomes: dict[str, Outcome], trace: str, lang: str) -> RenderableType:
    """Return the trace on a line, and the table."""
    table = Table()
    table.add_column("")
    for name in outcomes:
        table.add_column(name, justify="right")
    measures = dict.fromkeys(name for each in outcomes.values() for name in each.measures)
    for measure in measures:
        values = [shown(measure, each.measures.get(measure)) for each in outcomes.values()]
        table.add_row(text(lang, f"cli.simulate.measure.{measure}"), *values)
    return Group(Text(text(lang, "cli.simulate.title", trace=trace)), table)
