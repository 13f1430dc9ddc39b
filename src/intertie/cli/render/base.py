"""What every table shares: headers with units from the catalogue, numbers to the right."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import credits_of, duration_of, has_text, moment_of, text
from intertie.wire.base import RefusalBody, RelaxationBody

STYLES = {
    "done": "green",
    "online": "green",
    "running": "cyan",
    "failed": "red",
    "lost": "red",
    "cancelled": "yellow",
    "draining": "yellow",
    "stopping": "yellow",
}


class Columns:
    """The columns of one table, by their keys in the catalogue (``cli.column.<key>``)."""

    def __init__(self, lang: str, title: str = "", caption: str = "") -> None:
        self.lang = lang
        self.table = Table(
            box=box.SIMPLE_HEAD,
            title=Text(title, style="bold") if title else None,
            title_justify="left",
            caption=Text(caption, style="dim") if caption else None,
            caption_justify="left",
            pad_edge=False,
            collapse_padding=True,
            header_style="bold",
        )

    def word(self, key: str, fixed: bool = False) -> "Columns":
        """Add a column of words, which may fold; `fixed` for ids and times, which may not."""
        heading = self._heading(key).replace(" (", "\n(").replace("（", "\n（")
        self.table.add_column(heading, no_wrap=fixed, overflow="fold")
        return self

    def number(self, key: str) -> "Columns":
        """Add a column of numbers; its header names the unit in brackets, on a line of its own."""
        heading = self._heading(key)
        assert heading[-1] in ")）", f"{key} needs its unit"
        lines = heading.replace(" (", "\n(").replace("（", "\n（")
        widest = max(cell_len(line) for line in lines.split("\n"))
        self.table.add_column(
            lines, justify="right", no_wrap=True, overflow="fold", min_width=widest
        )
        return self

    def code(self, key: str) -> "Columns":
        """Add a column of numbers that count nothing: a task's index, an exit code."""
        self.table.add_column(self._heading(key), justify="right", no_wrap=True)
        return self

    def rows(self, rows: Iterable[Sequence[str | Text]]) -> Table:
        """Return the table with its rows."""
        for row in rows:
            self.table.add_row(*row)
        return self.table

    def _heading(self, key: str) -> str:
        return text(self.lang, f"cli.column.{key}")


def where(provider: str, pool: str) -> str:
    """Return a pool with its provider: once if they share a name, on two lines if it is long."""
    if provider == pool:
        return provider
    return f"{provider}/{pool}" if len(provider) + len(pool) < 18 else f"{provider}/\n{pool}"


def short_moment(instant_ms: int) -> str:
    """Return an instant in local time without its year, for narrow columns."""
    return moment_of(instant_ms)[5:]


def state_text(state: str, lang: str, group: str = "state") -> Text:
    """Return a state, outcome or cause in the language, in its colour."""
    key = f"{group}.{state}"
    return Text(text(lang, key) if has_text(lang, key) else state, style=STYLES.get(state, ""))


def refusal_text(body: RefusalBody | None, lang: str) -> str:
    """Return why not in this language, or as the network said it where the code is newer."""
    return _body_text("refusal", body, lang) if body else ""


def relaxation_text(body: RelaxationBody | None, lang: str) -> str:
    """Return the smallest change that would help; empty where none is known."""
    return _body_text("relaxation", body, lang) if body else ""


def credit_cells(amounts_micro: Sequence[int | None]) -> list[str]:
    """Return exact amounts with as many decimals as the longest needs, so that points line up."""
    known = [credits_of(amount) for amount in amounts_micro if amount is not None]
    decimals = max((len(cell.partition(".")[2]) for cell in known), default=2)
    return [
        "–" if amount is None else f"{amount / 1_000_000:,.{decimals}f}" for amount in amounts_micro
    ]


def seconds_cell(seconds: float) -> str:
    """Return seconds with one decimal where they are few and were measured."""
    if isinstance(seconds, int):
        return f"{seconds:,}"
    return f"{seconds:,.1f}" if seconds < 1000 else f"{seconds:,.0f}"


def short_duration(seconds: float, lang: str) -> str:
    """Return a duration for a line of text."""
    return duration_of(round(seconds) if seconds >= 10 else round(seconds, 1), lang)


def number_cell(value: float, decimals: int = 2) -> str:
    """Return a number without needless zeros."""
    return f"{value:,.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:,.0f}"


def _body_text(group: str, body: RefusalBody | RelaxationBody, lang: str) -> str:
    key = f"{group}.{body.code}"
    try:
        return text(lang, key, **body.values)
    except KeyError:
        return body.text or body.code


def abilities_in_words(names: Sequence[str], lang: str) -> str:
    """Return abilities as a list of words; one that the catalogue does not know, by its code."""
    known = ((name, f"ability.{name}") for name in names)
    words = (text(lang, key) if has_text(lang, key) else name for name, key in known)
    return text(lang, "console.list.comma").join(words)
