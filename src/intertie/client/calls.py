"""Calls of Python functions as files of a working folder, and what came of them.

Functions and arguments are pickled by value where cloudpickle can (functions of a script or a
notebook, lambdas, closures) and by name where it cannot (what can be imported). A function goes
once for all calls of a batch.
"""

import json
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from intertie.client.errors import IntertieError, problem_of
from intertie.client.runner import CALLS, FOLDER, FUNCTIONS, INDEX, RESULT, RUNNER

COMMAND = ["python3", f"{FOLDER}/{RUNNER}"]
RESULT_PATH = f"{FOLDER}/{RESULT}"
PYTHON = sys.version_info[:2]
# What the interpreter and its modules leave of a header: no result begins with more.
_HEADER_BYTES_MAX = 16 * 1024 * 1024


class Unpicklable(IntertieError):
    """A function, argument or result cannot travel; the text names it, the cause says why."""


class PythonMismatch(IntertieError):
    """Here and there run different versions of Python, and pickled code fits only one."""


class RemoteError(IntertieError):
    """The call raised something that cannot be brought over; the text is its traceback."""


class RemoteTraceback(Exception):
    """Where it was raised, on the provider's machine: the cause of an exception brought over."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


@dataclass(frozen=True)
class Call:
    """One task: a function by its hash, and (arguments, named arguments) or a chunk of them."""

    function: str
    content: bytes
    is_chunk: bool


@dataclass
class Functions:
    """The functions of the calls that wait, pickled once each while they wait."""

    pickled: dict[str, bytes] = field(default_factory=dict)
    _known: dict[int, tuple[Callable[..., Any], str]] = field(default_factory=dict)

    def hash_of(self, function: Callable[..., Any]) -> str:
        """Return the hash of a function, pickling it when it is new; raise Unpicklable."""
        known = self._known.get(id(function))
        if known is not None:
            return known[1]
        content = dumped(function, f"the function {name_of(function)}")
        digest = sha256(content).hexdigest()
        self.pickled[digest] = content
        self._known[id(function)] = (function, digest)  # kept, so that its id stays its own
        return digest


def call_of(
    functions: Functions,
    function: Callable[..., Any],
    args: Sequence[Any],
    named: Mapping[str, Any],
) -> Call:
    """Return one call; raise Unpicklable that names what cannot travel."""
    name = name_of(function)
    digest = functions.hash_of(function)
    try:
        return Call(digest, _dumps((tuple(args), dict(named))), False)
    except Exception:
        for at, value in enumerate(args, 1):
            dumped(value, f"argument {at} of {name} ({_type(value)})")
        for key, value in named.items():
            dumped(value, f"argument {key!r} of {name} ({_type(value)})")
        raise


def chunk_of(
    functions: Functions, function: Callable[..., Any], chunk: Sequence[Sequence[Any]]
) -> Call:
    """Return one call that maps a function over a chunk of arguments; raise Unpicklable."""
    digest = functions.hash_of(function)
    try:
        return Call(digest, _dumps((list(chunk), {})), True)
    except Exception:
        for args in chunk:
            call_of(functions, function, args, {})
        raise


def files_of(calls: Sequence[Call], functions: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a working folder in which task `i` makes call `i`."""
    rows: list[dict[str, Any]] = []
    offset = 0
    for call in calls:
        size = len(call.content)
        row = {"function": call.function, "offset": offset, "size": size}
        rows.append(row | {"is_chunk": call.is_chunk})
        offset += size
    files = {
        INDEX: json.dumps({"python": PYTHON, "calls": rows}).encode(),
        CALLS: b"".join(call.content for call in calls),
        **{f"{FUNCTIONS}/{digest}": functions[digest] for digest in {c.function for c in calls}},
        **_always(),
    }
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


def value_in(result: Path, name: str, where: str) -> Any:
    """Return what a call returned; raise what it raised, with its traceback as the cause.

    This unpickles what a provider's machine wrote: pass only results of one's own jobs.
    """
    with result.open("rb") as file:
        said = json.loads(file.readline(_HEADER_BYTES_MAX))
        kind, what, text = said["kind"], str(said["type"]), str(said["text"])
        if kind == "python":
            raise mismatch(what)
        if kind == "value":
            return _loaded(file, f"the result of {name}")
        try:
            error = pickle.load(file)
        except Exception:  # noqa: BLE001 - whatever it is, the text of it is there
            error = None
    cause = RemoteTraceback(text)
    if kind == "result":
        title = f"the result of {name} ({what}) cannot be pickled"
        raise Unpicklable(problem_of("not_picklable", title, where)) from cause
    if not isinstance(error, BaseException):
        title = f"{name} raised {what}, which cannot be brought over"
        raise RemoteError(problem_of("remote_error", title, where)) from cause
    if kind == "load":
        error.add_note(f"{name} could not be loaded {where}; see workdir= for modules of your own.")
    else:
        error.add_note(f"Raised {where}.")
    raise error from cause


def mismatch(there: str) -> PythonMismatch:
    """Return the error for a provider with another Python, naming both."""
    here = ".".join(str(part) for part in PYTHON)
    title = f"The calls were pickled by Python {here}; the provider runs Python {there}"
    detail = f"run Python {there} here, or ask for pools that have {here}"
    return PythonMismatch(problem_of("python_mismatch", title, detail))


def dumped(value: Any, what: str) -> bytes:
    """Return a pickle; raise Unpicklable that names what it was."""
    try:
        return _dumps(value)
    except Exception as error:
        title = f"{what} cannot be pickled"
        raise Unpicklable(problem_of("not_picklable", title, str(error))) from error


def name_of(function: Callable[..., Any]) -> str:
    """Return what a person calls a function."""
    inside = getattr(function, "func", function)  # functools.partial
    return getattr(inside, "__qualname__", None) or type(inside).__qualname__


def _dumps(value: Any) -> bytes:
    import cloudpickle  # type: ignore[import-untyped]

    content: bytes = cloudpickle.dumps(value)
    return content


def _loaded(file: Any, what: str) -> Any:
    try:
        return pickle.load(file)
    except Exception as error:
        title = f"{what} cannot be read here"
        raise Unpicklable(problem_of("not_picklable", title, str(error))) from error


def _type(value: Any) -> str:
    return type(value).__qualname__


@cache
def _always() -> dict[str, bytes]:
    """Return the runner and cloudpickle's own sources: providers need not have it."""
    import cloudpickle

    from intertie.client import runner

    package = Path(cloudpickle.__file__).parent
    sources = {f"cloudpickle/{path.name}": path.read_bytes() for path in package.glob("*.py")}
    return {RUNNER: Path(runner.__file__).read_bytes(), **sources}
