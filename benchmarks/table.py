"""What a benchmark returns: rows with units, and one figure."""

from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured quantity: how often, and its median and 99th percentile in milliseconds."""

    name: str
    count: int
    median_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Outcome:
    """The rows of one benchmark; `figure` is the sentence that is quoted."""

    rows: tuple[Row, ...]
    figure: str

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)

    def as_text(self) -> str:
        """Return the table, and the figure last."""
        lines = [f"{'':44}{'runs':>6}{'median (ms)':>14}{'p99 (ms)':>12}"]
        lines += [f"{r.name:44}{r.count:6}{r.median_ms:14.1f}{r.p99_ms:12.1f}" for r in self.rows]
        return "\n".join([*lines, "", self.figure])


def row(name: str, seconds: list[float]) -> Row:
    """Return the row of a series of durations."""
    p99 = quantiles(seconds, n=100)[98] if len(seconds) > 1 else seconds[0]
    return Row(name, len(seconds), round(median(seconds) * 1000, 2), round(p99 * 1000, 2))
