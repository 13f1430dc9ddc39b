"""Calls as files: what goes to a provider, what runs there, and what comes back."""

import ast
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from intertie.client import PythonMismatch, RemoteError, RemoteTraceback, Unpicklable
from intertie.client import runner as runner_module
from intertie.client.calls import (
    COMMAND,
    RESULT_PATH,
    Call,
    Functions,
    call_of,
    chunk_of,
    files_of,
    name_of,
    value_in,
)


class Awkward(Exception):
    """Cannot be made again from its arguments, so its pickle cannot be read."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def run(folder: Path, call: Call, functions: Functions, task: int = 0) -> int:
    """Lay the files of one call into a folder and run it there, as a provider would."""
    lay(folder, files_of([call], functions.pickled))
    return run_task(folder, task)


def lay(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def run_task(folder: Path, task: int) -> int:
    """Run a task with a Python that has no packages of its own."""
    environment = {"INTERTIE_TASK_INDEX": str(task), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", *COMMAND[1:]]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, timeout=60
    )
    return done.returncode


def outcome(folder: Path, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Return or raise what a call gives when it is made in a folder."""
    functions = Functions()
    run(folder, by_value(functions, function, *args, **named), functions)
    return value_in(folder / RESULT_PATH, name_of(function), "in task 0 of job-000c")


def by_value(functions: Functions, function: Callable[..., Any], *args: Any, **named: Any) -> Call:
    """Return a call whose function travels as that of a script would: tests are a module."""
    import cloudpickle

    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    try:
        return call_of(functions, function, args, named)
    finally:
        cloudpickle.unregister_pickle_by_value(here)


def add(one: int, two: int, more: int = 0) -> int:
    return one + two + more


def test_a_call_returns_its_value_where_nothing_is_installed(tmp_path: Path) -> None:
    assert outcome(tmp_path, add, 1, 2, more=3) == 6


def test_a_closure_takes_along_what_it_closes_over(tmp_path: Path) -> None:
    table = {"a": 1}
    assert outcome(tmp_path, lambda key: table[key], "a") == 1


def test_a_chunk_is_one_task_and_gives_a_list(tmp_path: Path) -> None:
    functions = Functions()
    call = chunk_of(functions, pow, [(2, 3), (3, 2)])
    assert run(tmp_path, call, functions) == 0
    assert value_in(tmp_path / RESULT_PATH, "pow", "") == [8, 9]


def test_an_exception_comes_back_as_itself_with_where_and_the_remote_traceback(
    tmp_path: Path,
) -> None:
    def divide(by: int) -> float:
        return 1 / by

    with pytest.raises(ZeroDivisionError) as raised:
        outcome(tmp_path, divide, 0)
    assert isinstance(raised.value.__cause__, RemoteTraceback)
    assert "in divide" in str(raised.value.__cause__)
    assert raised.value.__notes__ == ["Raised in task 0 of job-000c."]


def test_an_exception_that_cannot_be_read_here_comes_as_its_traceback(tmp_path: Path) -> None:
    def break_down() -> None:
        raise Awkward("one", "two")

    with pytest.raises(RemoteError, match=r"break_down raised .*Awkward") as raised:
        outcome(tmp_path, break_down)
    assert "onetwo" in str(raised.value.__cause__)


def test_leaving_by_sys_exit_is_an_exception_like_others(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as raised:
        outcome(tmp_path, sys.exit, 4)
    assert raised.value.code == 4


def test_a_result_that_cannot_be_pickled_is_named(tmp_path: Path) -> None:
    def numbers() -> Iterator[int]:
        return (n for n in range(3))

    with pytest.raises(Unpicklable, match=r"the result of .*numbers \(generator\)"):
        outcome(tmp_path, numbers)


def test_an_argument_that_cannot_be_pickled_is_named_before_anything_is_sent() -> None:
    with pytest.raises(Unpicklable, match=r"argument 2 of pow \(lock\) cannot be pickled"):
        call_of(Functions(), pow, (1, threading.Lock()), {})
    with pytest.raises(Unpicklable, match=r"argument 'mod' of pow \(lock\)"):
        call_of(Functions(), pow, (1, 2), {"mod": threading.Lock()})
    with pytest.raises(Unpicklable, match=r"argument 1 of pow"):
        chunk_of(Functions(), pow, [(1, 2), (threading.Lock(), 2)])


def test_a_function_that_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()

    def locked() -> bool:
        return lock.locked()

    with pytest.raises(Unpicklable, match=r"the function .*locked cannot be pickled"):
        call_of(Functions(), locked, (), {})


def test_another_python_is_named_beside_the_one_here(tmp_path: Path) -> None:
    functions = Functions()
    files = files_of([call_of(functions, add, (1, 2), {})], functions.pickled)
    index = f"{runner_module.FOLDER}/{runner_module.INDEX}"
    told = json.loads(files[index]) | {"python": [2, 7]}
    lay(tmp_path, files | {index: json.dumps(told).encode()})
    assert run_task(tmp_path, 0) == 1
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(PythonMismatch) as raised:
        value_in(tmp_path / RESULT_PATH, "add", "")
    assert f"by Python {here}" in str(raised.value)
    assert f"runs Python {sys.version.split()[0]}" in str(raised.value)


def test_a_module_that_is_missing_there_says_how_to_send_it(tmp_path: Path) -> None:
    functions = Functions()
    call = call_of(functions, json.dumps, ({},), {})
    absent = functions.pickled[call.function].replace(b"json", b"nosj")
    functions.pickled[call.function] = absent
    run(tmp_path, call, functions)
    with pytest.raises(ModuleNotFoundError) as raised:
        value_in(tmp_path / RESULT_PATH, "dumps", "in task 0 of job-000c")
    assert "workdir=" in raised.value.__notes__[0]


def test_modules_beside_the_working_folder_can_be_imported_and_ours_hide_none(
    tmp_path: Path,
) -> None:
    (tmp_path / "run.py").write_text("NAME = 'their own'\n")

    def imported() -> str:
        import run  # type: ignore[import-not-found]

        return str(run.NAME)

    assert outcome(tmp_path, imported) == "their own"


def test_a_process_that_ends_itself_leaves_no_result(tmp_path: Path) -> None:
    functions = Functions()
    assert run(tmp_path, call_of(functions, os._exit, (3,), {}), functions) == 3
    assert not (tmp_path / RESULT_PATH).exists()


def test_many_calls_of_one_function_carry_it_once_and_each_task_reads_its_own(
    tmp_path: Path,
) -> None:
    functions = Functions()
    calls = [call_of(functions, pow, (2, n), {}) for n in range(20)]
    files = files_of(calls, functions.pickled)
    assert sum(runner_module.FUNCTIONS in name for name in files) == 1
    lay(tmp_path, files)
    assert run_task(tmp_path, 7) == 0
    assert value_in(tmp_path / RESULT_PATH, "pow", "") == 128


def test_the_same_calls_are_the_same_files() -> None:
    made = []
    for _ in range(2):
        functions = Functions()
        made.append(files_of([call_of(functions, pow, (2, 3), {})], functions.pickled))
    assert made[0] == made[1]


def test_what_runs_there_is_read_by_every_python_that_could_be_met() -> None:
    source = Path(runner_module.__file__).read_text()
    ast.parse(source, feature_version=(3, 7))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported - {"cloudpickle"} <= set(sys.stdlib_module_names)
