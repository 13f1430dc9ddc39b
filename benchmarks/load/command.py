"""`python -m benchmarks load`: which parts to run, on what, how large, and how to print them."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator

from benchmarks.load.bench import QUICK, STORES, TINY, Bench, Sizes
from benchmarks.load.figures import Figure, as_json, as_text
from benchmarks.load.parts import (
    accept,
    hyperqueue,
    light,
    limits,
    live,
    overload,
    real,
    river,
    slurm,
    syncs,
)
from benchmarks.load.ratios import ratios

WHAT = "the load table: rates, latencies and memory under load, beside Slurm and HyperQueue"
Part = Callable[[Bench], Iterator[Figure]]
PARTS: dict[str, Part] = {
    "limits": limits.measure,
    "accept": accept.measure,
    "river": river.measure,
    "real": real.measure,
    "light": light.measure,
    "live": live.measure,
    "agents": syncs.measure,
    "overload": overload.measure,
    "slurm": slurm.measure,
    "hyperqueue": hyperqueue.measure,
}


def main(words: list[str]) -> int:
    """Print the load table; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description=WHAT)
    parser.add_argument("--quick", action="store_true", help="small sizes: about two minutes")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it works")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="may be repeated")
    parser.add_argument("--on", action="append", choices=STORES, help="a store; may be repeated")
    parser.add_argument("--doors", type=int, default=2, help="door processes (default: 2)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    told = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all it started is ended too
    sizes = TINY if told.tiny else QUICK if told.quick else Sizes()
    with Bench(sizes, tuple(told.on or STORES), told.doors) as bench:
        figures = run(bench, told.only or list(PARTS))
    print(json.dumps(as_json(figures), indent=2) if told.json else as_text(figures))
    return 0


def run(bench: Bench, parts: list[str]) -> list[Figure]:
    """Return the figures of some parts."""
    figures: list[Figure] = []
    for part in parts:
        bench.say(f"part {part}")
        for figure in PARTS[part](bench):
            bench.say(f"  {figure.on}: {figure.what}: {figure.value:.4g} {figure.unit}")
            figures.append(figure)
    return [*figures, *ratios(figures)]
