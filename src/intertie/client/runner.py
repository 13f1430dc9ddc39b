"""Runs one call of a `NetworkExecutor` where its task runs, and writes down what came of it.

It travels with the calls as a file and is all of this package that does: it needs the standard
library only, and any Python 3 can read it, so that a wrong one can be named. Beside it lie
cloudpickle's sources, the functions, and the calls, one after the other in one file.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

FOLDER = ".intertie"
RUNNER = "run.py"
CALLS, INDEX, FUNCTIONS, RESULT = "calls", "calls.json", "functions", "result"


def main() -> int:
    """Run the call of this task; the exit code says whether it returned."""
    folder = Path(__file__).resolve().parent
    told = json.loads((folder / INDEX).read_text())
    if list(sys.version_info[:2]) != told["python"]:
        return _end(folder, {"kind": "python", "type": sys.version.split()[0], "text": ""})
    import cloudpickle  # type: ignore[import-untyped]  # the one that lies beside

    sys.path[0] = str(Path.cwd())
    try:
        function, args, named, is_chunk = _load(cloudpickle, folder, told)
    except BaseException as error:  # noqa: BLE001 - it is told to whoever asked
        return _fail(cloudpickle, folder, "load", error)
    try:
        value = [function(*each) for each in args] if is_chunk else function(*args, **named)
    except BaseException as error:  # noqa: BLE001 - it is told to whoever asked
        return _fail(cloudpickle, folder, "raised", error)
    try:
        return _end(folder, {"kind": "value", "type": "", "text": ""}, cloudpickle, value)
    except BaseException as error:  # noqa: BLE001 - it is told to whoever asked
        return _fail(cloudpickle, folder, "result", error, _name(value))


def _load(cloudpickle: Any, folder: Path, told: Any) -> Any:
    """Return this task's function, arguments, named arguments, and whether it is a chunk."""
    call = told["calls"][int(os.environ["INTERTIE_TASK_INDEX"])]
    function = cloudpickle.loads((folder / FUNCTIONS / call["function"]).read_bytes())
    with (folder / CALLS).open("rb") as file:
        file.seek(call["offset"])
        args, named = cloudpickle.loads(file.read(call["size"]))
    return function, args, named, call["is_chunk"]


def _fail(cloudpickle: Any, folder: Path, kind: str, error: Any, what: str = "") -> int:
    """Write an exception with its traceback: as an object where that is possible, else as text."""
    trace = error.__traceback__.tb_next or error.__traceback__
    text = "".join(traceback.format_exception(type(error), error, trace))
    sys.stderr.write(text)
    said = {"kind": kind, "type": what or _name(error), "text": text}
    try:
        return _end(folder, said, cloudpickle, error)
    except BaseException:  # noqa: BLE001 - its text goes without it
        return _end(folder, said)


def _end(folder: Path, said: Any, cloudpickle: Any = None, value: Any = None) -> int:
    """Write the result as one line of JSON and a pickle; there is a whole one or none."""
    part = folder / (RESULT + ".part")
    with part.open("wb") as file:
        file.write(json.dumps(said).encode() + b"\n")
        if cloudpickle is not None:
            cloudpickle.dump(value, file)
    part.replace(folder / RESULT)
    return 0 if said["kind"] == "value" else 1


def _name(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    return module + kind.__qualname__


if __name__ == "__main__":
    sys.exit(main())
