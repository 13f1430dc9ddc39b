"""The neighbour Slurm: its controller takes, starts and completes jobs in the same run.

Its jobs are real processes (`true` in a batch script under slurmstepd); ours here are the fake
engine's. The fair comparison is the controller's processor time for a job; rates stand beside.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load.bench import Bench
from benchmarks.load.figures import Figure
from benchmarks.load.postgres import Missing
from benchmarks.load.slurm import CPUS, NODES, Slurm

PART = "Neighbours"
JOB = ("sbatch", "--output=/dev/null", "--error=/dev/null", "--ntasks=1", "--wrap=true")
AT_ONCE = 8
PATIENCE_S = 1200.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield submission and completion rates of single jobs and of one array."""
    try:
        slurm = Slurm()
    except Missing as why:
        yield Figure(PART, "slurm", "not here", float("nan"), "", str(why))
        return
    try:
        count = bench.sizes.neighbour_jobs
        version = slurm.run("sbatch", "--version").strip()
        bench.say(f"{version}: {count} single jobs")
        yield from _run(slurm, "single jobs", [JOB] * count, count, version)
        bench.say(f"{version}: one array of {count} tasks")
        array = (*JOB[:1], f"--array=1-{count}", *JOB[1:])
        yield from _run(slurm, "tasks in one array", [array], count, version)
    finally:
        slurm.close()


def _run(
    slurm: Slurm, what: str, commands: list[tuple[str, ...]], count: int, version: str
) -> Iterator[Figure]:
    begun, cpu_s = time.monotonic(), slurm.controller_cpu_s()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda command: slurm.run(*command), commands))
    submitted_s = time.monotonic() - begun
    assert all("Submitted" in each for each in said), slurm.log()
    while slurm.run("squeue", "-h", "-r", "-o", "%i").strip():
        assert time.monotonic() < begun + PATIENCE_S, slurm.log()
        time.sleep(0.2)
    seconds = time.monotonic() - begun
    used_ms = (slurm.controller_cpu_s() - cpu_s) * 1000 / count
    note = f"{version}, {AT_ONCE} sbatch at once" if len(commands) > 1 else f"{version}, one sbatch"
    yield Figure(PART, "slurm", f"{what} accepted", count / submitted_s, "a second", note)
    slots = f"real processes on {NODES} nodes of {CPUS} pretended cores"
    yield Figure(PART, "slurm", f"{what}, asked → ended", count / seconds, "a second", slots)
    yield Figure(PART, "slurm", f"{what}: controller's processor time", used_ms, "ms each")
