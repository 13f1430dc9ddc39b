"""One page that tells of a comparison, whole in one file: readable without a network."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from intertie.catalogue.texts import text
from intertie.simulator.report import measures
from intertie.simulator.report.plots import Line, plot
from intertie.simulator.running import Outcome

PAGE = "report.html"
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em;color:#222}
h2{overflow-wrap:anywhere}
table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}
td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}small{color:#666;display:block}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#444}
.end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#e4e4e4}
"""

Intervals = dict[str, dict[str, tuple[float, float]]]


@dataclass(frozen=True)
class Told:
    """What a page tells of one trace: outcomes by label, and how sure their means are."""

    trace: str
    outcomes: dict[str, Outcome]
    intervals: Intervals


def write_page(told: list[Told], command: str, lang: str, folder: Path) -> None:
    """Write the page of all traces, and by which command it was made."""
    title = escape(text(lang, "cli.simulate.report.title"))
    body = "".join(_section(each, lang) for each in told)
    (folder / PAGE).write_text(
        f'<!doctype html><html lang="{escape(lang)}"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>{body}"
        f"<p><code>{escape(command)}</code></p></body></html>\n"
    )


def _section(told: Told, lang: str) -> str:
    parts = [f"<h2>{escape(told.trace)}</h2>", _table(told, lang)]
    drawn = {label: each for label, each in told.outcomes.items() if measures.has_jobs(each)}
    if drawn:
        parts.append(f"<p><small>{escape(text(lang, 'cli.simulate.report.sure'))}</small></p>")
        parts += _plots(drawn, lang)
    return "".join(parts)


def _plots(outcomes: dict[str, Outcome], lang: str) -> list[str]:
    until = max(int(each.jobs["end_ms"].max()) for each in outcomes.values())
    waits = [
        Line(label, measures.PERCENTILES, measures.wait_percentiles_s(each))
        for label, each in outcomes.items()
    ]
    use = [Line(label, *measures.in_use(each, until)) for label, each in outcomes.items()]
    sizes = [Line(label, *measures.by_size(each)) for label, each in outcomes.items()]
    drawn = []
    for name, lines, is_log in (("waits", waits, True), ("use", use, False),
                                ("sizes", sizes, True)):  # fmt: skip
        key = f"cli.simulate.report.{name}"
        said = {part: text(lang, f"{key}.{part}") for part in ("title", "x", "y")}
        drawn.append(f"<h3>{escape(said['title'])}</h3>")
        drawn.append(plot(lines, said["x"], said["y"], is_log))
    return drawn


def _table(told: Told, lang: str) -> str:
    names = dict.fromkeys(name for each in told.outcomes.values() for name in each.measures)
    head = "".join(f"<th>{escape(label)}</th>" for label in told.outcomes)
    rows = []
    for name in names:
        said = escape(text(lang, f"cli.simulate.measure.{name}"))
        cells = "".join(
            f"<td>{_cell(name, each.measures.get(name), told.intervals.get(label, {}).get(name))}"
            "</td>"
            for label, each in told.outcomes.items()
        )
        rows.append(f"<tr><td>{said}</td>{cells}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _cell(name: str, value: float | None, interval: tuple[float, float] | None) -> str:
    said = shown(name, value)
    if interval:
        said += f"<small>{shown(name, interval[0])} – {shown(name, interval[1])}</small>"
    return said


def shown(measure: str, value: float | None) -> str:
    """Return a value with its unit, which is the last word of the measure's name."""
    if value is None:
        return "–"
    if measure.endswith("_s"):
        return f"{value:,.0f} s"
    if measure.endswith("_share"):
        return f"{value:.2%}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4f}"
