"""The pure rooms read nothing ambient, and light rooms stay light: checked twice, apart from ruff.

Ruff bans names; this reads the syntax trees, so that a `noqa` or a new spelling does not slip by.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.source import PURE_ROOMS, imported_modules, room_files, tree_of

BANNED_MODULES = {
    "asyncio",
    "concurrent",
    "ctypes",
    "glob",
    "http",
    "importlib.resources",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "pickle",
    "random",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
    "uuid",
    "warnings",
    "zoneinfo",
}
BANNED_CALLS = {"open", "print", "input", "eval", "exec", "__import__", "breakpoint"}
BANNED_METHODS = {"now", "utcnow", "today"}

# numpy draws through a Generator that is passed in; these are the names that need no global state.
SEEDED_NAMES = {"Generator", "default_rng", "PCG64", "Philox", "SeedSequence", "BitGenerator"}

# What a pure room may import beside the standard library and the house. The solvers of DESIGN §9
# join here when a room needs one.
THIRD_PARTY: dict[str, set[str]] = {room: {"numpy", "numba"} for room in PURE_ROOMS}
# Bytes in, bytes out: what a round decided is hashed, equal requests are known by their text.
THIRD_PARTY["world"] |= {"orjson"}
THIRD_PARTY["cycle"] |= {"orjson"}
THIRD_PARTY["model"] = set()
THIRD_PARTY["wire"] = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions"}


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_reads_no_clock_chance_or_environment(room: str) -> None:
    found = [
        f"{path}:{line}: {what}"
        for path in room_files((room,))
        for line, what in _ambient(tree_of(path))
    ]
    assert found == []


@pytest.mark.parametrize("room", sorted(THIRD_PARTY))
def test_a_room_below_the_store_imports_only_what_it_may(room: str) -> None:
    known = set(sys.stdlib_module_names) | {"intertie"} | THIRD_PARTY[room]
    found = [
        f"{path}:{line}: {name}"
        for path in room_files((room,))
        for line, name in imported_modules(tree_of(path))
        if name.split(".")[0] not in known
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import time", "time"),
        ("from time import monotonic", "time"),
        ("from os import environ", "os"),
        ("from urllib import request", "urllib.request"),
        ("x = open('f')", "open"),
        ("x = datetime.now(tz)", ".now()"),
        ("x = np.random.rand(3)", "random.rand"),
        ("x = np.random.default_rng()", "default_rng without a seed"),
        ("x = default_rng(None)", "default_rng without a seed"),
    ],
)
def test_the_check_for_purity_finds_what_it_forbids(code: str, what: str) -> None:
    assert [found for _, found in _ambient(ast.parse(code))] == [what]


def test_the_check_for_purity_lets_seeded_numbers_and_instants_pass() -> None:
    code = "rng = np.random.default_rng(seed)\nlate = now >= until\nfrom datetime import timedelta"
    assert list(_ambient(ast.parse(code))) == []


def test_neither_numpy_nor_numba_reaches_the_light_rooms() -> None:
    script = (
        "import importlib, pkgutil, sys\n"
        "for room in ('client', 'engines', 'agent', 'console'):\n"
        "    package = importlib.import_module(f'intertie.{room}')\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__'):\n"
        "            importlib.import_module(found.name)\n"
        "heavy = {'numpy', 'numba', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(f'{sorted(heavy)} came in' if heavy else 0)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_the_rooms_that_are_checked_have_files() -> None:
    assert all(room_files((room,)) for room in PURE_ROOMS)
    assert Path("src/intertie/cycle/__init__.py") in room_files(("cycle",))


def _ambient(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, what) for everything that a pure room may not touch."""
    for line, name in imported_modules(tree):
        banned = next((module for module in BANNED_MODULES if _is_inside(name, module)), None)
        if banned:
            yield line, banned
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield from _global_chance(node)
        elif isinstance(node, ast.Call):
            yield from _ambient_call(node)


def _is_inside(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def _global_chance(node: ast.Attribute) -> Iterator[tuple[int, str]]:
    inside = node.value
    is_global = isinstance(inside, ast.Attribute) and inside.attr == "random"
    if is_global and node.attr not in SEEDED_NAMES:
        yield node.lineno, f"random.{node.attr}"


def _ambient_call(node: ast.Call) -> Iterator[tuple[int, str]]:
    called = node.func
    if isinstance(called, ast.Name) and called.id in BANNED_CALLS:
        yield node.lineno, called.id
    if isinstance(called, ast.Attribute) and called.attr in BANNED_METHODS:
        yield node.lineno, f".{called.attr}()"
    name = getattr(called, "id", getattr(called, "attr", ""))
    if name == "default_rng" and not _has_seed(node):
        yield node.lineno, "default_rng without a seed"


def _has_seed(node: ast.Call) -> bool:
    given = node.args + [keyword.value for keyword in node.keywords]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in given)
