"""Facts about this host: what it has, what jobs find installed, what is not enforced."""

import json
import os
import platform
import shutil
from pathlib import Path

import psutil

from intertie.engines.host.sandbox import run_briefly
from intertie.model.parties import NodeFacts, Stack

ALL_ABILITIES = ("sandbox", "network_off", "cpu_limit", "memory_limit", "pids_limit")
STACKS = ("numpy", "scipy", "pandas", "torch", "jupyterlab")
ASK = """
import importlib.metadata, json, platform
found = {"python": platform.python_version()}
for name in %r:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def node_facts(
    name: str, folder: Path, cpus_milli: int, memory_bytes: int, disk_bytes: int
) -> NodeFacts:
    """Return this host as one node; a size of 0 is measured, any other is the owner's word."""
    return NodeFacts(
        name=name or platform.node() or "host",
        cpus_milli=cpus_milli or cpu_count() * 1000,
        memory_bytes=memory_bytes or psutil.virtual_memory().total,
        disk_bytes=disk_bytes or shutil.disk_usage(folder).free,
    )


def stacks(bubblewrap: str) -> tuple[Stack, ...]:
    """Return the software that jobs really see, by asking the interpreter that they would run."""
    told = run_briefly(bubblewrap, ["python3", "-c", ASK % (STACKS,)])
    found: dict[str, str] = json.loads(told) if told else {}
    return tuple(Stack(name, version) for name, version in found.items())


def cpu_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """Return the name of the processor, as the machine tells it."""
    try:
        rows = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        rows = []
    named = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
