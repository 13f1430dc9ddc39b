"""Tables with a unit in every header; cells sort by value and are shown as text, never as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

ROWS_A_PAGE = 50

_LINK = """
<q-td :props="props">
  <a v-if="props.row.KEY_href" class="nicegui-link" :href="props.row.KEY_href">{{ props.value }}</a>
  <span v-else>{{ props.value }}</span>
</q-td>
"""


@dataclass(frozen=True)
class Column:
    """One column. `key` names it in the rows; `label` carries its unit."""

    key: str
    label: str
    is_number: bool = False
    is_wrapped: bool = False
    is_link: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what it sorts by, and where it leads."""

    shown: str
    sorts: float | str | None = None
    href: str = ""


Row = dict[str, Cell | str]


class Table:
    """A table on a page whose rows are replaced; without rows it says what to do next."""

    def __init__(self, columns: Sequence[Column], empty: str) -> None:
        self._columns = columns
        self._empty = ui.label(empty).classes("console-empty")
        self._table = ui.table(
            columns=[_column(column) for column in columns],
            rows=[],
            row_key="row",
            pagination=ROWS_A_PAGE,
        )
        self._table.props("flat bordered dense").classes("console-table")
        for column in columns:
            if column.is_link:
                slot = _LINK.replace("KEY", column.key)
                self._table.add_slot(f"body-cell-{column.key}", slot)
        self._empty.set_visibility(False)
        self._table.set_visibility(False)

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the rows."""
        self._empty.set_visibility(not rows)
        self._table.set_visibility(bool(rows))
        self._table.props["hide-pagination"] = len(rows) <= ROWS_A_PAGE
        self._table.rows = [_plain(number, row) for number, row in enumerate(rows)]


def by_number(value: float | None, shown: str) -> Cell:
    """Return a cell that sorts by its number; an absent one sorts first."""
    return Cell(shown, -1e300 if value is None else value)


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.key,
        "label": column.label,
        "field": column.key,
        ":format": f"(value, row) => row.{column.key}_shown",
        "align": "right" if column.is_number else "left",
        "sortable": True,
        "classes": "console-wrap" if column.is_wrapped else "",
    }


def _plain(number: int, row: Row) -> dict[str, Any]:
    plain: dict[str, Any] = {"row": number}
    for key, value in row.items():
        cell = value if isinstance(value, Cell) else Cell(value)
        plain[key] = cell.shown if cell.sorts is None else cell.sorts
        plain[f"{key}_shown"] = cell.shown
        if cell.href:
            plain[f"{key}_href"] = cell.href
    return plain
