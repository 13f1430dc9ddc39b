"""The neighbour HyperQueue, from its Python package, in a virtual environment of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load.bench import Bench
from benchmarks.load.figures import Figure
from benchmarks.load.postgres import Missing

PART = "Neighbours"
INSIDE = Path(__file__).with_name("hyperqueue_inside.py")


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield submission and completion rates of single jobs and of one job with many tasks."""
    try:
        python = _environment(bench)
    except Missing as why:
        yield Figure(PART, "hyperqueue", "not here", float("nan"), "", str(why))
        return
    count = 10 * bench.sizes.neighbour_jobs  # it looks once a second whether they have ended
    bench.say(f"HyperQueue: {count} single jobs, one job of {count} tasks")
    with tempfile.TemporaryDirectory(prefix="intertie-hq-") as folder:
        done = subprocess.run(
            [str(python), "-I", str(INSIDE), folder, str(count)],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    note = f"HyperQueue {told['version']}, server and worker in one process, nothing on disk"
    for what in ("single jobs", "tasks in one job"):
        accepted, ended = told[what]
        yield Figure(PART, "hyperqueue", f"{what} accepted", accepted, "a second", note)
        real = "real processes on 2 cores"
        yield Figure(PART, "hyperqueue", f"{what}, asked → ended", ended, "a second", real)


def _environment(bench: Bench) -> Path:
    """Return the Python of an environment with HyperQueue, made at the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "intertie-benchmarks" / "hyperqueue"
    python = folder / "bin" / "python"
    if python.exists() and _runs([str(python), "-c", "import hyperqueue"]):
        return python
    bench.say("HyperQueue is installed into the cache")
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "hyperqueue"],
    ):
        if not _runs(command):
            raise Missing(f"HyperQueue is not here: {' '.join(command)} failed")
    return python


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
