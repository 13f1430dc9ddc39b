"""The ten clusters of Microsoft ITP as ten providers, whole and in parts."""

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
