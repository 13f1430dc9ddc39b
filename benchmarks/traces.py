"""What benchmarks on traces share: their options, and ITP's ten clusters as ten providers."""

import argparse
from pathlib import Path

from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Trace

DEVICES = {1: 512, 2: 512, 3: 512, 4: 1024, 5: 512, 6: 512, 7: 1024, 8: 1024, 9: 1024, 10: 256}


def clusters(folder: Path, part: int) -> list[tuple[Trace, int]]:
    """Return each cluster's jobs and a `part`-th of its devices; BadTrace or OSError if absent."""
    return [
        (read_trace(folder / f"itp/raw/cluster{number:02}.csv"), devices // part)
        for number, devices in DEVICES.items()
    ]


def options(name: str, what: str, words: list[str]) -> argparse.Namespace:
    """Return the folder of the traces, and whether JSON is wanted."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=what)
    parser.add_argument("--traces", type=Path, required=True, help="the folder with the traces")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    return parser.parse_args(words)
