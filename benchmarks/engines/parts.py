"""The parts of the table, each on clusters that are started for it and ended after it."""

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.engines import figures
from benchmarks.engines.clusters import CLUSTERS, a_slurm, missing, now_s, run_array
from benchmarks.engines.joined import Joined, joined
from benchmarks.load.figures import Figure
from intertie.wire.jobs import AttemptView
from tests.servers.slurm import SlurmCluster
from tests.support.stages import ANSWER, run, two_providers

NODES, CPUS_A_NODE, HOLD_S = 100, 32, 5


@dataclass(frozen=True)
class Sizes:
    """How much is asked for: jobs one after another, tasks of an array, arrays, nodes, seconds."""

    runs: int = 20
    tasks: int = 1000
    arrays: int = 2
    nodes: int = NODES
    stage_s: int = 20


def say(text: str) -> None:
    """Tell how far it is, on standard error."""
    print(text, file=sys.stderr, flush=True)


def starts(engine: str, sizes: Sizes) -> Iterator[Figure]:
    """Yield submit → running, native and ours in turn on the same cluster."""
    with a_place() as folder, CLUSTERS[engine](folder) as cluster, joined(cluster, folder) as there:
        say(f"{engine} {cluster.version}: {sizes.runs} starts each; load {_load()}")
        for first in (cluster.start, there.start):
            first()  # it also loads what later ones find loaded
        native, ours = [], []
        for number in range(sizes.runs):
            for runs, start in ((native, cluster.start), (ours, there.start)):
                # Slurm starts batch jobs once a second: who asks always at the same moment of it,
                # as one right after the other does, measures nothing but that moment.
                time.sleep(random.random())
                runs.append(start())
            both = f"native {native[-1].running_s:.2f} s, Intertie {ours[-1].running_s:.2f} s"
            say(f"  {number + 1}: {both}")
        yield from figures.starts(engine, native, ours)


def arrays(sizes: Sizes) -> Iterator[Figure]:
    """Yield tasks a second of short arrays on Slurm, sbatch's and ours in turn."""
    with a_place() as folder, a_slurm(folder) as cluster, joined(cluster, folder) as there:
        assert cluster.slurm is not None
        there.start()
        native, ours, used = [], [], {}
        for number in range(sizes.arrays):
            native.append(run_array(cluster.slurm, sizes.tasks))
            say(f"  array {number + 1}: sbatch {native[-1]:.1f} s; load {_load()}")
            before = there.processor_s()
            took_s, tasks = there.run_array(sizes.tasks, ["true"])
            ours.append(took_s)
            used = {name: s - before[name] for name, s in there.processor_s().items()}
            say(f"  array {number + 1}: Intertie {ours[-1]:.1f} s; load {_load()}")
        yield from figures.rates(figures.ARRAYS, "slurm", sizes.tasks, native, ours)
        yield from _lives([attempt for task in tasks for attempt in task.attempts])
        for name, spent_s in used.items():
            each_ms = spent_s * 1000 / sizes.tasks
            yield Figure(figures.ARRAYS, "slurm", f"processor time: {name}", each_ms, "ms each")


def _lives(attempts: Sequence[AttemptView]) -> Iterator[Figure]:
    """Yield where a task's time goes: each holds a core from being placed until its end is told."""
    lives = [
        (each.started_at - each.placed_at, each.ended_at - each.started_at)
        for each in attempts
        if each.started_at and each.ended_at
    ]
    for column, what in enumerate(("placed → began", "began → end told")):
        middle = median(life[column] for life in lives)
        yield Figure(figures.ARRAYS, "slurm", f"{what}, median", middle, "ms")


def nodes(sizes: Sizes) -> Iterator[Figure]:
    """Yield how a pool of many real slurmds joins, and runs a task that fills a node on each."""
    with a_place() as folder:
        say(f"  {sizes.nodes} slurmds start; load {_load()}")
        with a_slurm(folder, sizes.nodes) as cluster:
            assert cluster.slurm is not None
            begun_s = now_s()
            with joined(cluster, folder) as there:
                joined_s, cores = now_s() - begun_s, there.units()
                say(f"  joined in {joined_s:.1f} s with {cores:.0f} cores; load {_load()}")
                on, what = "slurm", f"{sizes.nodes} slurmds"
                note = f"{cores:.0f} cores offered"
                yield Figure(figures.NODES, on, f"{what}: joined", joined_s, "s", note)
                fills = f"--cpus-per-task={CPUS_A_NODE}"
                hold = ("--mem=64", fills)
                native_s = run_array(cluster.slurm, sizes.nodes, *hold, command=f"sleep {HOLD_S}")
                say(f"  sbatch: {native_s:.1f} s; load {_load()}")
                yield from _filled(there, sizes.nodes, native_s)


def _filled(there: Joined, count: int, native_s: float) -> Iterator[Figure]:
    took_s, tasks = there.run_array(count, ["sleep", str(HOLD_S)], CPUS_A_NODE)
    say(f"  Intertie: {took_s:.1f} s; load {_load()}")
    used = {attempt.site_node for task in tasks for attempt in task.attempts}
    yield from figures.rates(figures.NODES, "slurm", count, [native_s], [took_s])
    yield Figure(figures.NODES, "slurm", "nodes that ran a task", len(used), "")


def dag(sizes: Sizes) -> Iterator[Figure]:
    """Yield how long three stages over a host and a Slurm cluster take beside their own run times.

    What one stage made is downloaded and goes up again as the next one's folder, in the total too.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(a_place())
        cluster = stack.enter_context(SlurmCluster("beta", gpu_nodes=1, gpu="rtx3090:4"))
        there = stack.enter_context(two_providers(cluster, "dag"))
        say(f"  both have joined; load {_load()}")
        run(there.client, folder / "first", 0)  # it also loads what later ones find loaded
        graph = run(there.client, folder / "measured", sizes.stage_s)
        assert graph.answer == ANSWER
        say(f"  {graph.total_s:.1f} s; load {_load()}")
        ran_s = {each.job.name: each.ran_s for each in graph.stages}
        yield from figures.stages("host, slurm", ran_s, graph.total_s)


def skipped(part: str, engine: str) -> Iterator[Figure]:
    """Yield one row that says what is to be installed; none where nothing is missing."""
    if why := missing(engine):
        yield Figure(part, engine, figures.SKIPPED, float("nan"), "", why)


@contextmanager
def a_place() -> Iterator[Path]:
    """A folder that jobs may enter, whoever runs them."""
    with tempfile.TemporaryDirectory(prefix="intertie-bench-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"
