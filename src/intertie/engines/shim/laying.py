"""What every engine lays into an attempt's folder, and takes away: one way for all of them.

Values of a job travel in files that only we may read, never on a command line.
"""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from intertie.wire.sync import LeaseBody

VARIABLE = re.compile(r"^[A-Za-z_]\w*$", re.ASCII)
THREAD_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
NO_CORES = "ulimit -c 0"  # a dump of a job's memory is nobody's result
EXEC = 'exec "$@"'


def check_variables(environment: Mapping[str, str]) -> None:
    """ValueError names a variable that no shell could set."""
    for name, value in environment.items():
        if not VARIABLE.match(name) or "\0" in value:
            raise ValueError(f"environment: {name!r} cannot be set; use letters, digits and _")


def basics(home: str) -> dict[str, str]:
    """Return what every job starts from."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def told(body: LeaseBody) -> dict[str, str]:
    """Return what a job is told of itself and its cores; its own words for it stand.

    `INTERTIE_ATTEMPT` is 1 for the first. ValueError names a variable that cannot be set.
    """
    check_variables(body.environment)
    known = {
        "INTERTIE_JOB": body.job,
        "INTERTIE_TASK_INDEX": str(body.task_index),
        "INTERTIE_ATTEMPT": str(body.attempt),
        "INTERTIE_CHECKPOINT": body.checkpoint_path,
    }
    threads = str(max(1, body.cpus_milli // 1000))
    return known | dict.fromkeys(THREAD_POOLS, threads) | body.environment


def launcher(variables: Mapping[str, str], *rows: str) -> str:
    """Return a shell script that sets variables and then does what the rows say."""
    exports = (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return "\n".join([NO_CORES, *exports, *rows, ""])


def program(body: LeaseBody, script: str) -> list[str]:
    """Return a job's command, or what runs its script at that path."""
    return body.command or [*([] if body.script.startswith("#!") else ["/bin/sh"]), script]


def spec(folder: Path, body: LeaseBody, log_bytes_max: int, grace_s: int) -> dict[str, Any]:
    """Return what the shim reads of a job that nothing shuts in; `argv` is the engine's to add."""
    work = str(folder / "work")
    return {
        "environment": {},
        "cwd": work,
        "work": work,
        "seccomp": "",
        "is_sandboxed": False,
        "groups": {},
        "poke": "",
        "session": str(folder.parent / "session") if body.on_partition == "move" else "",
        "time_limit_s": body.time_limit_s,
        "disk_bytes": body.disk_bytes,
        "log_bytes_max": log_bytes_max,
        "grace_s": grace_s,
    }


def site_spec(folder: Path, body: LeaseBody, log_bytes_max: int, grace_s: int) -> dict[str, Any]:
    """Return what the shim reads on a node of a site, with all that the job needs.

    Its variables and its script are in it: on a shared file system each file more takes longer
    than everything else that a start does.
    """
    argv = ["/bin/sh", "-c", f"{NO_CORES}; {EXEC}", "sh"]
    return spec(folder, body, log_bytes_max, grace_s) | {
        "argv": [*argv, *program(body, str(folder / "script"))],
        "environment": basics(str(folder / "work")) | told(body),
        "script": body.script,
        "clock": "wall",
    }


def remove_tree(folder: Path) -> None:
    """Remove a folder that strangers filled: they may have shut folders, and laid links."""
    with suppress(OSError):
        shutil.rmtree(folder)
        return
    for root, names, _ in os.walk(folder):
        for path in (Path(root, name) for name in names):
            with suppress(OSError):  # what still runs there may remove it meanwhile
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
