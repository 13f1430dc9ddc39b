"""What the doctor found, as a table: what is well in one line, the rest with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import text
from intertie.cli.render.base import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intertie.cli.doctor import Finding

STYLES = {"ok": "green", "warn": "yellow", "bad": "red"}


def health_table(found: Iterable[Finding], lang: str) -> Table:
    """Return one row for each finding."""
    columns = Columns(lang).word("check", fixed=True).word("standing", fixed=True).word("finding")
    return columns.rows(
        (
            text(lang, f"doctor.{each.check}.name"),
            Text(text(lang, f"health.{each.word}"), style=STYLES[each.word]),
            text(lang, f"doctor.{each.check}.{each.word}", **each.values),
        )
        for each in found
    )
