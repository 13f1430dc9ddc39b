"""Files from elsewhere on the command line: sbatch scripts and SkyPilot task files."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from intertie.cli.session import Session
    from intertie.client.imports import Imported

SCRIPTS = (".sbatch", ".slurm", ".sl")
TASKS = (".yaml", ".yml")
TASK_FIELD = re.compile(r"^(run|setup|num_nodes|envs|secrets|file_mounts)\s*:", re.M)
BYTES_MAX = 1_000_000


@dataclass(frozen=True)
class Brought:
    """What a file of another system means here."""

    file: str
    imported: Imported

    def spec(self, told: dict[str, Any]) -> dict[str, Any]:
        """Return the spec with what the command line says over it, or beside it for lists."""
        spec = self.imported.spec
        for group in ("resources", "environment"):
            told[group] = spec.get(group, {}) | told.get(group, {})
        if "results" in told or "results" in spec:
            told["results"] = [*spec.get("results", []), *told.get("results", [])]
        if "after" in told or "after" in spec:
            told["after"] = [*spec.get("after", []), *told.get("after", [])]
        return spec | told

    def folder(self) -> Path | None:
        """Return the folder that the file names, taken from where the command is called."""
        named = self.imported.workdir
        return Path(named).expanduser() if named else None


def brought(words: list[str], told: dict[str, Any]) -> Brought | None:
    """Return what the file that a command line names means; None where it is none of these.

    Variables of the command line take precedence over those of this process.
    """
    text = _text_of(words[0]) if words else None
    if text is None:
        return None

    from intertie.client import imports

    name = Path(words[0]).stem
    variables = {**os.environ, **told.get("environment", {})}
    if words[0].endswith(SCRIPTS) or imports.is_sbatch(text):
        found = imports.from_sbatch(text, name, words[1:], variables=variables)
    elif words[0].endswith(TASKS) and len(words) == 1 and imports.is_sky(_fields(text)):
        found = imports.from_sky(text, name, variables)
    else:
        return None
    return Brought(words[0], found)


def own(words: list[str]) -> Brought:
    """Return a spec of our own as if it were brought: there is nothing to note."""
    from intertie.client.imports import Imported

    return Brought(" ".join(words), Imported(spec={}, notes=[]))


def tell(session: Session, found: Brought, workdir: Path | None) -> None:
    """Show what was changed or cannot be honoured, on stderr, as the job itself goes to stdout."""
    notes = found.imported.notes
    if session.as_json:
        print(json.dumps({"notes": [each.model_dump() for each in notes]}), file=sys.stderr)
        return

    from intertie.cli.render.importing import notes_table

    telling = [note for note in notes if note.level != "kept"]
    if telling:
        session.err.print(notes_table(found.file, telling, session.lang))
    kept = len(notes) - len(telling)
    session.err.print(session.text("cli.import.more", kept=kept), markup=False)
    if workdir is None:
        session.err.print(session.text("cli.import.no_workdir"), markup=False)


def show(session: Session, found: Brought, spec: dict[str, Any]) -> None:
    """Show the spec and every note, and nothing else."""
    from intertie.cli.render.importing import spec_view

    whole = found.imported.model_copy(update={"spec": spec})
    session.show(whole, lambda: spec_view(found.file, whole, session.lang))


def refuse_unmet(session: Session, found: Brought) -> None:
    """Raise SpecError that names all that cannot be honoured."""
    from intertie.cli.render.importing import note_text
    from intertie.client import SpecError
    from intertie.client.errors import problem_of
    from intertie.wire.base import FieldError

    errors = [
        FieldError(field=note.asked, message=note_text(note, session.lang))
        for note in found.imported.unmet()
    ]
    if errors:
        title = session.text("problem.import_unmet")
        raise SpecError(problem_of("import_unmet", title, errors=errors, status=422))


def _text_of(word: str) -> str | None:
    """Return the text of a file, None where there is none or it is too large to be a script."""
    path = Path(word)
    try:
        if not path.is_file() or path.stat().st_size > BYTES_MAX:
            return None
        return path.read_bytes().decode("utf-8", errors="surrogateescape")
    except OSError:
        return None


def _fields(text: str) -> Any:
    if not TASK_FIELD.search(text):
        return None  # and a long spec of our own is not read twice
    try:
        return next(iter(yaml.safe_load_all(text)), None)
    except yaml.YAMLError:
        return None
