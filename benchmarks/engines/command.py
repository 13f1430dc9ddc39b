"""`python -m benchmarks engines`: which parts to run, how large, and how to print them."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.engines import figures, parts
from benchmarks.engines.parts import Sizes
from benchmarks.load.figures import Figure, as_json, as_text

WHAT = (
    "starts and short tasks through Intertie beside sbatch, Ray and Kubernetes Jobs, on one cluster"
)
Part = Callable[[Sizes], Iterator[Figure]]
PARTS: dict[str, tuple[str, str, Part]] = {
    "slurm": (figures.STARTS, "slurm", partial(parts.starts, "slurm")),
    "ray": (figures.STARTS, "ray", partial(parts.starts, "ray")),
    "kubernetes": (figures.STARTS, "kubernetes", partial(parts.starts, "kubernetes")),
    "array": (figures.ARRAYS, "slurm", parts.arrays),
    "nodes": (figures.NODES, "slurm", parts.nodes),
    "dag": (figures.DAG, "slurm", parts.dag),
}


def parse(words: list[str]) -> argparse.Namespace:
    """Return the options; what is wrong with them is said on standard error, with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks engines", description=WHAT)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="may be repeated")
    parser.add_argument("--runs", type=_count, default=Sizes.runs, help="starts of each kind")
    parser.add_argument("--tasks", type=_count, default=Sizes.tasks, help="tasks of an array")
    parser.add_argument("--arrays", type=_count, default=Sizes.arrays, help="arrays of each kind")
    parser.add_argument("--nodes", type=_count, default=Sizes.nodes, help="real slurmds")
    parser.add_argument("--stage", type=_count, default=Sizes.stage_s, help="seconds of a stage")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Print the table and its sentence; return 0."""
    told = parse(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all it started is ended too
    sizes = Sizes(told.runs, told.tasks, told.arrays, told.nodes, told.stage)
    found = run(sizes, told.only or list(PARTS))
    if told.json:
        print(json.dumps({"rows": as_json(found), "figure": figures.summary(found)}, indent=2))
    else:
        print(f"{as_text(found)}\n\n{figures.summary(found)}")
    return 0


def run(sizes: Sizes, names: list[str]) -> list[Figure]:
    """Return the figures of some parts; where a server is missing, one row that says so."""
    found: list[Figure] = []
    for name in names:
        part, engine, measure = PARTS[name]
        parts.say(f"part {name}")
        found += list(parts.skipped(part, engine)) or list(measure(sizes))
    return found


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
