"""What became of each thing that a file asked for."""

from typing import Any, Literal

from intertie.client.errors import Fault, SpecError, problem_of
from intertie.wire.base import FieldError, Message

Level = Literal["kept", "changed", "unmet"]


class Note(Message):
    """One thing that a file asked for, and what became of it.

    `kept`: it holds. `changed`: something near it holds. `unmet`: it cannot be honoured. `code`
    names the text that says why; `line` is 0 where no line of the file says it.
    """

    level: Level
    asked: str
    code: str
    values: dict[str, str | int] = {}
    line: int = 0


class Imported(Message):
    """A job spec, as fields of a `JobSpec`, with the notes on how it came about.

    `workdir` is the folder that the file itself names as its working folder, empty if none.
    """

    spec: dict[str, Any]
    notes: list[Note]
    workdir: str = ""

    def unmet(self) -> list[Note]:
        """Return what cannot be honoured."""
        return [note for note in self.notes if note.level == "unmet"]


class Notes:
    """Notes as they are taken, and what is wrong with the file."""

    def __init__(self) -> None:
        self.taken: list[Note] = []
        self.faults: list[Fault] = []
        self.errors: list[FieldError] = []

    def note(self, level: Level, asked: str, code: str, line: int = 0, **values: str | int) -> None:
        self.taken.append(Note(level=level, asked=asked, code=code, values=values, line=line))

    def wrong(self, place: str, kind: str, **values: str | int) -> None:
        """Note that something cannot be read; `check` raises it."""
        self.faults.append(Fault(place, kind, values))
        self.errors.append(FieldError(field=place, message=_FAULTS[kind].format(**values)))

    def check(self) -> None:
        """Raise SpecError when anything was wrong; it names each place and its fix."""
        if self.errors:
            title = "The file cannot be read as a job"
            error = SpecError(problem_of("bad_import", title, errors=self.errors, status=422))
            error.faults = tuple(self.faults)
            raise error


_FAULTS = {
    "import_no_shebang": "an sbatch script begins with #! and a program, such as #!/bin/bash",
    "import_zero_byte": "it holds a zero byte; a script is text",
    "import_not_utf8": "it is not UTF-8 text; save it as UTF-8",
    "import_quote": "the quote {quote} is never closed; close it on the same line",
    "import_word": "{given} is no option; options begin with - or --",
    "import_ambiguous": "{given} is short for {options}; write it in full",
    "import_needs_value": "it needs a value: write --{option}=VALUE",
    "import_takes_no_value": "it takes no value; write --{option}",
    "import_number": "write a whole number from 1 on, not {given}",
    "import_nodes": "write a number or a range such as 2 or 2-4, not {given}",
    "import_memory": "write MiB or a size such as 4000, 16G or 500M, not {given}",
    "import_time": "write minutes, HH:MM:SS or DAYS-HH:MM:SS such as 2-12:00:00, not {given}",
    "import_array": "write indexes such as 0-15, 1,3,7 or 0-100:10%4, not {given}",
    "import_array_size": "it has {given} tasks and a job may have 100000 at most; split it",
    "import_gpus": "write a number or a type with one, such as 2 or a100:2, not {given}",
    "import_signal": "write a signal and seconds such as USR1@60 or B:TERM@120, not {given}",
    "import_not_yaml": "it is not valid YAML: {why}",
    "import_sky_many": "it holds several tasks; put each into a file of its own",
    "import_sky_fields": "it must hold fields such as `run: python3 train.py`, not {given}",
    "import_sky_text": "it must be text, not {given}",
    "import_sky_group": "it must be names with values, not {given}",
    "import_sky_amount": "write a number such as 4, 4+ or 16GB, not {given}",
    "import_sky_devices": "write a class with a count such as A100:8 or {{A100: 8}}, not {given}",
    "import_sky_nodes": "write a number of nodes from 1 on, not {given}",
    "import_sky_no_run": "it is missing; say what the task runs",
}
