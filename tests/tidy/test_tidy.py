"""The house style, checked: sizes, names, charters, and what a checkout may carry."""

import ast
import re
import tomllib
from pathlib import Path

from tests.tidy import sizes
from tests.tidy.source import (
    HOUSE,
    REPOSITORY,
    ROOMS,
    checked_in,
    distribution,
    python_files,
    text_of,
    tree_of,
)

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}

# Spelled in halves, so that this file does not trip over itself.
OF_ONE_MACHINE = re.compile(
    "|".join(
        (
            r"/wo" + r"rk/(main|shared|\.library)",
            r"/ho" + r"me/[a-z0-9]",
            r"/ro" + r"ot/[.a-z]",
            r"pypi" + r"\.org",
            r"python" + r"hosted",
            r"registry\.np" + r"mjs",
            r"deb\.deb" + r"ian",
            r"proxy\.gol" + r"ang",
            r"(index|find)-url\s*=",
        )
    )
)


def test_functions_files_and_lines_keep_to_their_sizes() -> None:
    allowance = sizes.allowed(sizes.ALLOWED.read_text(encoding="utf-8"))
    found = sizes.complaints(sizes.too_large(), allowance)
    assert not found, "\n".join(found)


def test_the_list_of_allowed_sizes_may_only_shrink() -> None:
    held = {("file", "a.py"): 600}
    assert sizes.complaints({("file", "a.py"): 600}, held) == []
    assert sizes.complaints({("file", "a.py"): 601}, held) != []
    assert sizes.complaints({("file", "a.py"): 599}, held) != []
    assert sizes.complaints({}, held) != []


def test_the_house_has_exactly_the_rooms_of_the_design() -> None:
    rooms = {
        path.name for path in HOUSE.iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    assert rooms == set(ROOMS)


def test_every_room_opens_with_its_charter() -> None:
    for room in ROOMS:
        charter = ast.get_docstring(tree_of(Path("src/intertie") / room / "__init__.py")) or ""
        sentences = re.findall(r"[.:!?](?:\s|$)", charter)
        assert 2 <= len(sentences) <= 8, f"{room}: say in two to five sentences what it is for"


def test_no_module_is_named_for_saying_nothing() -> None:
    vague = [
        str(path)
        for path in python_files()
        if {path.stem, *(parent.name for parent in path.parents)} & NAMES_THAT_SAY_NOTHING
    ]
    assert vague == []


def test_every_test_is_named_by_a_sentence() -> None:
    short = [
        f"{path}::{node.name}"
        for path in python_files("tests", "benchmarks")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and len(node.name.removeprefix("test_").split("_")) < 4
    ]
    assert short == []


def test_every_dependency_is_justified_in_one_line() -> None:
    page = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", page, flags=re.MULTILINE)
    justified = [distribution(name) for name, _ in rows]
    assert sorted(justified) == sorted(_declared_dependencies())
    assert all(len(reason.split()) >= 4 for _, reason in rows)


def test_the_lock_pins_and_hashes_everything_and_names_no_address() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^([a-z0-9._-]+)==(\S+)(.*(?:\n    --hash=sha256:\S+.*)+)", lock, re.M)
    locked = {distribution(name) for name, _, _ in entries}
    assert locked >= set(_declared_dependencies())
    assert len(entries) == len([line for line in lock.splitlines() if line[:1].isalnum()])
    assert "://" not in lock
    assert not re.search(r"^\s*--(?!hash)", lock, flags=re.M)


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for path in checked_in():
        text = (REPOSITORY / path).read_bytes().decode("utf-8", errors="ignore")
        for number, line in enumerate(text.splitlines(), start=1):
            if OF_ONE_MACHINE.search(line):
                found.append(f"{path}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


def test_every_python_file_can_be_read_as_utf8_with_unix_line_ends() -> None:
    assert [str(path) for path in python_files() if "\r" in text_of(path)] == []


def _declared_dependencies() -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    declared = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    return [distribution(requirement) for requirement in declared]
