"""What one attempt's folder holds before Ray runs it, and the command that runs it."""

import json
from pathlib import Path
from typing import Any

from intertie.engines.ray.settings import RaySettings
from intertie.engines.shim import laying
from intertie.engines.shim.procfs import write_new
from intertie.wire.sync import LeaseBody

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


def prepare(
    folder: Path, body: LeaseBody, own: RaySettings, poke: str, document: dict[str, Any]
) -> None:
    """Make the attempt's folder with all that the shim reads, and the document to be submitted.

    ValueError names a variable that cannot be set.
    """
    told = laying.site_spec(folder, body, own.log_bytes_max, own.grace_s) | {
        "passes_on": [*GIVEN, *own.runtime_env.get("env_vars", {}), *own.passes_on],
        "poke": poke,
        "ray": document,
    }
    folder.mkdir(mode=0o711, exist_ok=True)
    (folder / "work").mkdir(exist_ok=True)
    write_new(folder / "spec.json", json.dumps(told))
