"""What became of a file from elsewhere: a table of notes, and the spec."""

from collections.abc import Sequence

import yaml
from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import text
from intertie.cli.render.base import Columns
from intertie.client.imports import Imported, Note

COLOURS = {"kept": "green", "changed": "yellow", "unmet": "red"}
TASKS_SHOWN = 4


def notes_table(file: str, notes: Sequence[Note], lang: str) -> Table:
    """Return one row for each note: where, what was asked, what became of it, and why."""
    columns = Columns(lang, text(lang, "cli.import.title", file=file))
    has_lines = any(note.line for note in notes)
    if has_lines:
        columns.code("line")
    columns.word("asked").word("becomes", fixed=True).word("remark")
    rows = []
    for note in notes:
        level = Text(text(lang, f"import_level.{note.level}"), style=COLOURS[note.level])
        row: list[str | Text] = [Text(note.asked), level, Text(note_text(note, lang))]
        rows.append([str(note.line or ""), *row] if has_lines else row)
    return columns.rows(rows)


def note_text(note: Note, lang: str) -> str:
    """Return why it is as it is, in the language."""
    return text(lang, f"import.{note.code}", **note.values)


def spec_view(file: str, imported: Imported, lang: str) -> RenderableType:
    """Return the notes, and the spec as YAML without the script that carries the one brought."""
    spec = {name: value for name, value in imported.spec.items() if name != "script"}
    listed = spec.get("array", {}).get("values", [])
    if len(listed) > TASKS_SHOWN:
        spec["array"] = {"values": [*listed[:TASKS_SHOWN], "…"]}
    written = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    parts: list[RenderableType] = []
    if imported.notes:
        parts.append(notes_table(file, imported.notes, lang))
    return Group(*parts, Syntax(written, "yaml", background_color="default"))
