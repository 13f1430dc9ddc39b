"""What the tidy tests read: the files of the checkout, their syntax trees and the rooms."""

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HOUSE = REPOSITORY / "src" / "intertie"

PURE_ROOMS = (
    "model",
    "world",
    "planner",
    "market",
    "placement",
    "run",
    "metering",
    "ledger",
    "cycle",
)
BORDER_ROOMS = (
    "wire",
    "catalogue",
    "store",
    "control",
    "engines",
    "agent",
    "client",
    "api",
    "console",
    "simulator",
    "cli",
)
ROOMS = PURE_ROOMS + BORDER_ROOMS


@functools.cache
def checked_in() -> tuple[Path, ...]:
    """Return every file that git keeps or would keep, relative to the repository.

    A file that is not yet added counts too, so that a slip is caught before its commit.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = sorted({Path(name) for name in listing.stdout.split("\0") if name})
    return tuple(path for path in paths if (REPOSITORY / path).is_file())


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below these folders, or all of them, relative to the repository."""
    inside = tuple(Path(folder) for folder in folders)
    return [
        path
        for path in checked_in()
        if path.suffix == ".py"
        and (not inside or any(path.is_relative_to(folder) for folder in inside))
    ]


def room_files(rooms: tuple[str, ...]) -> list[Path]:
    """Return the Python files of these rooms, relative to the repository."""
    return python_files(*(f"src/intertie/{room}" for room in rooms))


@functools.cache
def text_of(path: Path) -> str:
    """Return the text of a file of the repository."""
    return (REPOSITORY / path).read_text(encoding="utf-8")


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file of the repository."""
    return ast.parse(text_of(path), filename=str(path))


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) for each import, also those inside functions.

    `from a import b` yields `a.b`, because `b` may be a module; compare by prefix.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module or ''}.{alias.name}"


def distribution(requirement: str) -> str:
    """Return the normalised name at the head of a requirement: `PyYAML>=6` gives `pyyaml`."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
