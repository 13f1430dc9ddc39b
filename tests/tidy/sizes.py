"""Measures of functions, files and lines, and the list of those that may still be too large."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.source import REPOSITORY, python_files, text_of, tree_of

LIMITS = {"function": 70, "file": 500, "line": 100}
ALLOWED = REPOSITORY / "tests" / "tidy" / "allowed_sizes.txt"

Sizes = dict[tuple[str, str], int]


def too_large() -> Sizes:
    """Return (kind, where) → size for everything above its limit."""
    measured: Sizes = {}
    for path in python_files():
        for kind, where, size in _measures(path):
            if size > LIMITS[kind]:
                measured[kind, where] = max(size, measured.get((kind, where), 0))
    return measured


def allowed(text: str) -> Sizes:
    """Return (kind, where) → size from the text of the allow-list."""
    rows = (line.split() for line in text.splitlines() if line.strip() and line[0] != "#")
    return {(kind, where): int(size) for kind, where, size in rows}


def complaints(found: Sizes, allowance: Sizes) -> list[str]:
    """Return one sentence for each size that the list does not cover, or covers too generously."""
    grown = [
        f"{kind} {where} has {size} (limit {LIMITS[kind]}): split it"
        for (kind, where), size in found.items()
        if size > allowance.get((kind, where), LIMITS[kind])
    ]
    stale = [
        f"{kind} {where} has shrunk to {found.get((kind, where), 'its limit')}: shrink the list"
        for (kind, where), size in allowance.items()
        if found.get((kind, where), 0) < size
    ]
    return grown + stale


def _measures(path: Path) -> Iterator[tuple[str, str, int]]:
    lines = text_of(path).splitlines()
    yield "file", str(path), len(lines)
    yield "line", str(path), max(map(len, lines), default=0)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", f"{path}::{node.name}", (node.end_lineno or 0) - node.lineno + 1
