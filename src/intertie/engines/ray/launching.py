"""What one attempt's folder holds before Ray runs it, and the command that runs it."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from intertie.engines.ray.settings import RaySettings
from intertie.engines.shim.procfs import write_new
from intertie.wire.sync import LeaseBody

VARIABLE = re.compile(r"^[A-Za-z_]\w*$", re.ASCII)
# The shim is on the file system that nodes see; a node needs a Python and nothing of ours.
SHIM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from intertie.engines.shim.launch import run_attempt
run_attempt(sys.argv[2], os.uname().nodename)
"""
# What only Ray knows, such as the devices that it chose; the rest of its environment stays out.
GIVEN = (
    "PATH",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "RAY_ADDRESS",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ASCEND_RT_VISIBLE_DEVICES",
    "NEURON_RT_VISIBLE_CORES",
    "TPU_VISIBLE_CHIPS",
)


def shim_argv(python: str, shim: Path, folder: Path) -> list[str]:
    """Return the command that runs an attempt on a node; all of it is ours, nothing a user's."""
    return [python, "-I", "-S", "-c", SHIM.strip(), str(shim), str(folder)]


def prepare(folder: Path, body: LeaseBody) -> None:
    """Write the launcher and the script; values travel in a file that only we may read."""
    job = folder / "job"
    job.mkdir(mode=0o700, exist_ok=True)
    (folder / "work").mkdir(exist_ok=True)
    rows = [f"export {name}={shlex.quote(value)}" for name, value in _variables(folder, body)]
    lines = ["ulimit -c 0", *rows, 'exec "$@"', ""]
    write_new(job / "launch", "\n".join(lines))
    if body.script:
        write_new(job / "script", body.script, 0o700)


def spec(
    folder: Path, body: LeaseBody, own: RaySettings, poke: str, document: dict[str, Any]
) -> str:
    """Return `spec.json`: what the shim reads, and the document that was submitted."""
    session = folder.parent / "session"
    values = {
        "argv": ["/bin/sh", str(folder / "job" / "launch"), *_program(folder, body)],
        "environment": {"LANG": "C.UTF-8"},
        "passes_on": [*GIVEN, *own.runtime_env.get("env_vars", {}), *own.passes_on],
        "cwd": str(folder / "work"),
        "work": str(folder / "work"),
        "seccomp": "",
        "is_sandboxed": False,
        "groups": {},
        "poke": poke,
        "clock": "wall",
        "session": str(session) if body.on_partition == "move" else "",
        "time_limit_s": body.time_limit_s,
        "disk_bytes": body.disk_bytes,
        "log_bytes_max": own.log_bytes_max,
        "grace_s": own.grace_s,
        "ray": document,
    }
    return json.dumps(values)


def _variables(folder: Path, body: LeaseBody) -> list[tuple[str, str]]:
    """Return what the job finds in its environment beside what Ray gives; its own word is last."""
    threads = str(max(1, body.cpus_milli // 1000))
    told = {
        "HOME": str(folder / "work"),
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "INTERTIE_JOB": body.job,
        "INTERTIE_TASK_INDEX": str(body.task_index),
        "INTERTIE_ATTEMPT": str(body.attempt),
        "INTERTIE_CHECKPOINT": body.checkpoint_path,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    for name, value in body.environment.items():
        if not VARIABLE.match(name) or "\0" in value:
            raise ValueError(f"environment: {name!r} cannot be set; use letters, digits and _")
    return list((told | body.environment).items())


def _program(folder: Path, body: LeaseBody) -> list[str]:
    script = str(folder / "job" / "script")
    return body.command or ([script] if body.script.startswith("#!") else ["/bin/sh", script])
