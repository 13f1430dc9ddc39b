"""The #SBATCH lines of a script, read as sbatch itself reads them."""

from collections.abc import Iterator
from dataclasses import dataclass

from intertie.client.imports.notes import Notes
from intertie.client.imports.options import SHORT, Option, meant

BLANKS = (
    " \t\n\v\f\r"  # those of C in every locale; Unicode has more, and sbatch reads them as signs
)
MAGIC = "#SBATCH"
HETEROGENEOUS = ("hetjob", "packjob")


@dataclass(frozen=True)
class Asked:
    """One option as it was asked for; `written` is how it stands in the script."""

    option: Option
    value: str
    written: str
    line: int

    @property
    def place(self) -> str:
        """Where it stands, for whoever has to mend it."""
        return f"line {self.line}: --{self.option.name}"


def read(text: str, notes: Notes) -> list[Asked]:
    """Return the options before the first command, in order; what is no option is noted."""
    asked: list[Asked] = []
    component = 0
    for line, rest, is_late in _lines(text):
        if is_late:
            notes.note("kept", f"{MAGIC}{rest}".strip(), "after_first_command", line)
            continue
        words = _words(rest, line, notes)
        if words and words[0] in HETEROGENEOUS:
            component += 1
            notes.note("unmet", f"{MAGIC} {words[0]}", "no_components", line)
        elif component:
            notes.note("unmet", " ".join(words), "other_component", line)
        else:
            asked += _options(words, line, notes)
    return asked


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Return number and rest of each #SBATCH line, and whether it comes after a command."""
    is_late = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(MAGIC):
            yield number, line.removeprefix(MAGIC), is_late
        elif line.strip() and not line.lstrip().startswith("#"):
            is_late = True


def _words(rest: str, line: int, notes: Notes) -> list[str]:
    """Split as sbatch does: quotes join, a backslash takes the next sign, # ends the line."""
    words: list[str] = []
    word, quote, is_escaped, is_word = "", "", False, False
    for sign in rest:
        if sign in BLANKS and not quote:
            words += [word] if is_word else []
            word, is_escaped, is_word = "", False, False
        elif is_escaped:
            word, is_escaped, is_word = word + sign, False, True
        elif sign == "\\":
            is_escaped = True
        elif sign == "#" and not quote:
            break
        elif sign in "\"'" and quote in ("", sign):
            quote, is_word = ("" if quote else sign), True
        else:
            word, is_word = word + sign, True
    if quote:
        notes.wrong(f"line {line}", "import_quote", quote=quote)
        return []
    return words + ([word] if is_word else [])


def _options(words: list[str], line: int, notes: Notes) -> list[Asked]:
    asked: list[Asked] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word.startswith("--") and len(word) > 2:
            asked += _long(word, left, line, notes)
        elif word.startswith("-") and len(word) > 1:
            asked += _short(word, left, line, notes)
        else:
            notes.wrong(f"line {line}", "import_word", given=word)
    return asked


def _long(word: str, left: list[str], line: int, notes: Notes) -> list[Asked]:
    name, equals, value = word.removeprefix("--").partition("=")
    found = meant(name)
    if not found:
        if not equals and left and not left[0].startswith("-"):
            word = f"{word} {left.pop(0)}"  # a plug-in's option, with its value
        notes.note("unmet", word, "unknown_option", line)
        return []
    option = found[0]
    place = f"line {line}: --{name}"
    if len(found) > 1:
        names = ", ".join(f"--{each.name}" for each in found[:4])
        notes.wrong(place, "import_ambiguous", given=f"--{name}", options=names)
        return []
    if option.value == "none" and equals:
        notes.wrong(place, "import_takes_no_value", option=option.name)
        return []
    if option.value == "needs" and not equals:
        return _with_next(option, word, left, line, notes)
    return [Asked(option, value, word, line)]


def _short(word: str, left: list[str], line: int, notes: Notes) -> list[Asked]:
    """Read ``-c4``, ``-c 4``, or several letters of which the last may take a value."""
    asked: list[Asked] = []
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        option = SHORT.get(letter)
        if option is None:
            notes.note("unmet", f"-{letter}{letters}", "unknown_option", line)
            return asked
        if option.value == "none":
            asked.append(Asked(option, "", f"-{letter}", line))
            continue
        if option.value == "needs" and not letters:
            return asked + _with_next(option, f"-{letter}", left, line, notes)
        return [*asked, Asked(option, letters, f"-{letter}{letters}", line)]
    return asked


def _with_next(option: Option, word: str, left: list[str], line: int, notes: Notes) -> list[Asked]:
    if not left:
        notes.wrong(f"line {line}: {word}", "import_needs_value", option=option.name)
        return []
    value = left.pop(0)
    return [Asked(option, value, f"{word} {value}", line)]
