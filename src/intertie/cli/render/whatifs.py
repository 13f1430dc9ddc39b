"""A what-if as people read it: what was, what would be as it is, and what would be otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import duration_of, text

if TYPE_CHECKING:
    from intertie.wire.whatifs import WhatIfView

WAYS = ("was", "as_is", "what_if")


def what_if_table(found: WhatIfView, lang: str) -> RenderableType:
    """Return the measures by way, the waits of each project, and what was left out."""
    if found.state == "failed":
        return Text(text(lang, "cli.what_if.failed", error=found.error))
    fields = ", ".join(f"{name}={value}" for name, value in found.policy.items())
    title = text(lang, "cli.what_if.title", fields=fields or text(lang, "cli.what_if.nothing"))
    table = _table(lang)
    for measure in dict.fromkeys(name for way in WAYS for name in found.measures.get(way, {})):
        values = [_shown(measure, found.measures.get(way, {}).get(measure)) for way in WAYS]
        table.add_row(text(lang, f"cli.simulate.measure.{measure}"), *values)
    by_project = _table(lang, text(lang, "cli.what_if.projects"))
    for project in sorted({name for way in WAYS for name in found.projects.get(way, {})}):
        waits = [found.projects.get(way, {}).get(project) for way in WAYS]
        by_project.add_row(project, *(_shown("wait_s", wait) for wait in waits))
    left = [
        Text(text(lang, f"cli.what_if.left_out.{why}", jobs=jobs), style="dim")
        for why, jobs in found.left_out.items()
    ]
    return Group(Text(title, style="bold"), table, by_project, *left)


def _table(lang: str, heading: str = "") -> Table:
    table = Table()
    table.add_column(heading)
    for way in WAYS:
        table.add_column(text(lang, f"cli.what_if.way.{way}"), justify="right")
    return table


def _shown(measure: str, value: float | None) -> str:
    if value is None:
        return "–"
    if measure.endswith("_s"):
        return duration_of(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4f}"
