"""What a job leaves: the files below its working folder that match, read without following links.

The job is a stranger and may still be running: folders are walked by descriptor, and only regular
files that are reached without any symbolic link are opened.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

FILES_MAX = 10_000
CHUNK_BYTES = 1 << 20
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Found:
    """One file below the working folder; the last two tell whether it changed."""

    path: str
    size_bytes: int
    modified_ns: int


def find(work: Path, patterns: list[str], bytes_max: int) -> list[Found]:
    """Return the files that match any pattern; a folder that matches stands for its files.

    A file that says it is larger than the job's disk is made of holes, and is left.
    """
    wanted = [_regex(pattern) for pattern in patterns]
    real = (each for each in _walk(work) if each.size_bytes <= bytes_max)
    found = [each for each in real if any(regex.fullmatch(each.path) for regex in wanted)]
    return sorted(found, key=lambda each: each.path)[:FILES_MAX]


def open_inside(work: Path, path: str) -> IO[bytes]:
    """Open a regular file for reading; OSError if any part of its path is a link."""
    folder = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *above, name = path.split("/")
        for part in above:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            below = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path!r} is not a regular file")
    return os.fdopen(file, "rb")


def digest(file: IO[bytes], copy: IO[bytes] | None = None) -> tuple[str, int]:
    """Return the hash and size of an open file, copied on the way if asked, never as a whole."""
    found, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK_BYTES):
        found.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return found.hexdigest(), size


def _walk(work: Path) -> Iterator[Found]:
    if not work.is_dir():
        return
    for root, _, names, folder in os.fwalk(work, follow_symlinks=False):
        below = os.path.relpath(root, work)
        for name in names:
            with suppress(OSError, UnicodeError):  # a name that is no text cannot be told
                told = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(told.st_mode):
                    path = name if below == "." else f"{below}/{name}"
                    path.encode()
                    if _CONTROLS.search(path):
                        continue  # nor can one that moves a reader's cursor
                    yield Found(path, told.st_size, told.st_mtime_ns)


def _regex(pattern: str) -> "re.Pattern[str]":
    """Return a pattern of a shell as a regular expression: `*` stays in a folder, `**` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern.strip("/").removeprefix("./"))
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(known.get(part) or _literal(part) for part in parts)
    return re.compile(f"{text}(?:/.*)?", re.DOTALL)


def _literal(part: str) -> str:
    if len(part) > 2 and part.startswith("[") and part.endswith("]"):
        chosen = part[1:-1].replace("\\", "\\\\")
        return f"[^{chosen[1:]}]" if chosen.startswith("!") else f"[{chosen}]"
    return re.escape(part)
