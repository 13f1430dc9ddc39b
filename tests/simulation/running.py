"""Run seeds: one in a folder of its own, or many over several processes."""

import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from intertie.control.kernels import prepare_kernels
from tests.simulation.simulation import BadBooks, Report, Simulation, make_template

LOG_LINES = 60


def run_seed(seed: int, folder: Path, template: Path, troubled_s: int) -> Report:
    """Run one seed; whatever goes wrong is a complaint in its report."""
    mine = folder / f"seed{seed}"
    mine.mkdir()
    simulation = Simulation(seed, mine, template, troubled_s)
    try:
        return simulation.run()
    except BadBooks:
        pass
    except Exception:  # noqa: BLE001 - a report of many seeds tells of each
        simulation.report.complaints.append(traceback.format_exc())
    simulation.report.log = simulation.log[-LOG_LINES:]
    return simulation.report


def run_seeds(seeds: range, troubled_s: int, workers: int) -> Iterator[Report]:
    """Yield the report of each seed as it is done."""
    context = multiprocessing.get_context("spawn")
    parts = [(seeds[at::workers], troubled_s) for at in range(workers)]
    queue = context.Queue()
    processes = [context.Process(target=_work, args=(*part, queue), daemon=True) for part in parts]
    for process in processes:
        process.start()
    for _ in seeds:
        yield queue.get()
    for process in processes:
        process.join()


def _work(seeds: range, troubled_s: int, queue: "multiprocessing.Queue[Report]") -> None:
    prepare_kernels()
    with tempfile.TemporaryDirectory(prefix="intertie-simulation-", dir=_memory()) as name:
        folder = Path(name)
        template = make_template(folder)
        parent = os.getppid()
        for seed in seeds:
            if os.getppid() != parent:
                return  # nobody listens any more
            queue.put(run_seed(seed, folder, template, troubled_s))


def _memory() -> str | None:
    """Return a folder in memory where there is one: no disk is under test."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
