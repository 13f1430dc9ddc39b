"""File names with Slurm's patterns (``%x-%A_%a.out``): in a shell, and as what to bring back."""

import re
import shlex
from collections.abc import Callable
from posixpath import basename, join, normpath

# What a pattern is in the shell of the wrapper; %x is known beforehand.
_SHELL = {
    "A": "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}",
    "a": "${SLURM_ARRAY_TASK_ID:-4294967294}",
    "b": "$((${SLURM_ARRAY_TASK_ID:-4294967294} % 10))",
    "j": "$SLURM_JOB_ID",
    "J": "$SLURM_JOB_ID",
    "N": "$SLURMD_NODENAME",
    "n": "0",
    "s": "batch",
    "t": "0",
    "u": "$SLURM_JOB_USER",
}
_PADDED = "AabjJnt"
_PATTERN = re.compile(r"%(?:%|(\d*)([A-Za-z]))")


def inside(folder: str, name: str) -> tuple[str, bool]:
    """Return a path below the working folder, and whether it is another than was asked for."""
    path = normpath(join(folder, name))
    if path.startswith(("/", "../")) or path == "..":
        return basename(path) or "output", True
    return path, False


def in_shell(name: str, job_name: str) -> str:
    """Return a word of a shell that has the patterns filled in when it runs."""
    return "".join(_piece(piece, job_name, _shell_piece, shlex.quote) for piece in _split(name))


def as_result(name: str, job_name: str) -> str:
    """Return a pattern of `results` for every name that it can become."""
    found = (_piece(piece, job_name, lambda letter, width: "*", _literal) for piece in _split(name))
    return re.sub(r"\*+", "*", "".join(found))


def _split(name: str) -> list[str]:
    if "\\" in name:  # Slurm takes a backslash to mean: no patterns at all
        return [name.replace("\\", "").replace("%", "%%")]
    return [piece for piece in re.split(r"(%\d*[A-Za-z]|%%)", name) if piece]


def _piece(
    piece: str,
    job_name: str,
    filled: Callable[[str, str], str],
    literal: Callable[[str], str],
) -> str:
    match = _PATTERN.fullmatch(piece)
    if match is None or (match[2] and match[2] not in {*_SHELL, "x"}):
        return literal(piece.replace("%%", "%"))
    if not match[2]:
        return literal("%")
    return literal(job_name) if match[2] == "x" else filled(match[2], match[1])


def _shell_piece(letter: str, width: str) -> str:
    value = _SHELL[letter]
    if width and letter in _PADDED:
        return f'"$(printf \'%0{min(int(width), 10)}d\' "{value}")"'
    return f'"{value}"'


def _literal(text: str) -> str:
    return re.sub(r"[\[*?]", "?", text)  # any one sign, that one too
