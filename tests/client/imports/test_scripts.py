"""Scripts in the styles that centres teach, and what each becomes: see `scripts/`."""

from pathlib import Path

import pytest
import yaml

from intertie.catalogue.texts import languages, text
from intertie.client import SpecError, specs
from tests.client.imports.seen import SCRIPTS, imported, seen

FILES = sorted(
    path
    for path in SCRIPTS.iterdir()
    if path.suffix in (".sbatch", ".yaml") and ".expected" not in path.name
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_script_becomes_the_spec_and_notes_beside_it(path: Path) -> None:
    expected = yaml.safe_load(path.with_name(f"{path.stem}.expected.yaml").read_text())
    assert seen(imported(path)) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_script_becomes_is_a_job_spec_or_lacks_a_device_class(path: Path) -> None:
    found = imported(path)
    if any(note.code == "device_class_missing" for note in found.notes):
        with pytest.raises(SpecError, match=r"resources\.devices\.class: it is missing"):
            specs.load(found.spec)
    else:
        specs.load(found.spec)


@pytest.mark.parametrize("lang", languages())
def test_every_note_is_said_in_every_language(lang: str) -> None:
    notes = [note for path in FILES for note in imported(path).notes]
    assert len({note.code for note in notes}) > 60
    for note in notes:
        assert text(lang, f"import.{note.code}", **note.values)


def test_there_are_scripts_of_many_styles() -> None:
    assert len([path for path in FILES if path.suffix == ".sbatch"]) >= 40
    assert len([path for path in FILES if path.suffix == ".yaml"]) >= 12
