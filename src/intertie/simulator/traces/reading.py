"""Which reader a file wants, by its name and its first line."""

from pathlib import Path

from intertie.simulator.traces.itp import read_itp
from intertie.simulator.traces.swf import read_swf
from intertie.simulator.traces.trace import BadTrace, Trace


def read_trace(path: Path) -> Trace:
    """Return a file's jobs; BadTrace says what it should have been, OSError what is not there."""
    if path.name.endswith((".swf", ".swf.gz")):
        return read_swf(path)
    if path.suffix == ".csv":
        return read_itp(path)
    raise BadTrace(f"{path.name}: no trace is read by that name; .swf, .swf.gz and .csv are")
