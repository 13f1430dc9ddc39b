"""What the load table holds: one figure a row, with its unit and what it means."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number. `on` says which store or peer it was measured on."""

    part: str
    on: str
    what: str
    value: float
    unit: str
    note: str = ""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of all values lies (nearest rank); NaN for none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Return what `--json` prints."""
    return [asdict(figure) for figure in figures]


def as_text(figures: Sequence[Figure]) -> str:
    """Return the table as Markdown, one heading a part."""
    lines: list[str] = []
    part = ""
    for each in figures:
        if each.part != part:
            part = each.part
            lines += ["", f"### {part}", "", "| on | what | | unit | |", "|---|---|---:|---|---|"]
        row = (each.on, each.what, _written(each.value), each.unit, each.note)
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines).strip()


def _written(value: float) -> str:
    if value != value:  # not a number: nothing was seen
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
