"""Plots as SVG of their own: no script, no font, no file beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 14, 44
TICKS = 5
COLOURS = ("#0b6e99", "#d9730d", "#4d6461", "#ad1a72", "#6940a5", "#0f7b6c", "#e03e3e", "#64473a")


@dataclass(frozen=True)
class Line:
    """A named series; where `xs` are names, they stand beside each other in that order."""

    name: str
    xs: Sequence[float | str]
    ys: Sequence[float]


def plot(lines: Sequence[Line], x_title: str, y_title: str, is_log: bool = False) -> str:
    """Return one SVG with all lines, their axes and names; points where x are names."""
    names = list(dict.fromkeys(x for line in lines for x in line.xs if isinstance(x, str)))
    xs = [_place(x, names) for line in lines for x in line.xs]
    ys = [_height(y, is_log) for line in lines for y in line.ys]
    across = _Scale(min(xs, default=0), max(xs, default=1), LEFT, WIDTH - RIGHT)
    up = _Scale(0 if not is_log else min(ys, default=0), max(ys, default=1), HEIGHT - BOTTOM, TOP)
    parts = [_grid(up, is_log), _below(across, names)]
    for at, line in enumerate(lines):
        spots = [
            (across.at(_place(x, names)), up.at(_height(y, is_log)))
            for x, y in zip(line.xs, line.ys, strict=True)
        ]
        parts.append(_drawn(spots, COLOURS[at % len(COLOURS)], bool(names)))
        parts.append(_name(at, line.name))
    parts.append(_titles(x_title, y_title))
    box = f'viewBox="0 0 {WIDTH} {HEIGHT + 18 * ceil(len(lines) / 3)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {box}>{"".join(parts)}</svg>'


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return self.begin + (value - self.low) / span * (self.end - self.begin)


def _place(x: float | str, names: list[str]) -> float:
    return float(names.index(x)) if isinstance(x, str) else float(x)


def _height(y: float, is_log: bool) -> float:
    return log10(max(y, 1.0)) if is_log else float(y)


def _grid(up: _Scale, is_log: bool) -> str:
    if is_log:
        decades = range(floor(up.low), ceil(up.high) + 1)
        fine = (1,) if up.high - up.low > TICKS - 3 else (1, 2, 5)
        marks = [at + log10(each) for at in decades for each in fine]
        marks = [mark for mark in marks if up.low <= mark <= up.high]
    else:
        marks = [up.low + (up.high - up.low) * at / TICKS for at in range(TICKS + 1)]
    return "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up.at(mark):.1f}" y2="{up.at(mark):.1f}"'
        f' class="grid"/><text x="{LEFT - 6}" y="{up.at(mark) + 4:.1f}" class="end">'
        f"{_number(10**mark if is_log else mark)}</text>"
        for mark in marks
    )


def _below(across: _Scale, names: list[str]) -> str:
    marks = [(float(at), name) for at, name in enumerate(names)] or [
        (mark, _number(mark))
        for mark in (
            across.low + (across.high - across.low) * at / TICKS for at in range(TICKS + 1)
        )
    ]
    return "".join(
        f'<text x="{across.at(mark):.1f}" y="{HEIGHT - BOTTOM + 16}" class="middle">'
        f"{escape(name)}</text>"
        for mark, name in marks
    )


def _drawn(spots: list[tuple[float, float]], colour: str, has_points: bool) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    drawn = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
    if has_points:
        drawn += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
                         for x, y in spots)  # fmt: skip
    return drawn


def _name(at: int, name: str) -> str:
    x, y = LEFT + at % 3 * 225, HEIGHT + 6 + 18 * (at // 3)
    colour = COLOURS[at % len(COLOURS)]
    return (
        f'<rect x="{x}" y="{y - 9}" width="14" height="4" fill="{colour}"/>'
        f'<text x="{x + 20}" y="{y - 3}">{escape(name)}</text>'
    )


def _titles(x_title: str, y_title: str) -> str:
    return (
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" class="end">{escape(x_title)}</text>'
        f'<text x="14" y="{TOP}" class="end" transform="rotate(-90 14 {TOP})">'
        f"{escape(y_title)}</text>"
    )


def _number(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:,.4g} M"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
