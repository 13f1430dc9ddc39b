"""Which reader a file wants, by its name."""

from pathlib import Path

from intertie.simulator.traces.itp import read_itp
from intertie.simulator.traces.swf import read_swf
from intertie.simulator.traces.trace import BadTrace, Trace


def read_trace(path: Path) -> Trace:
    """Return a file's jobs; BadTrace names what cannot be read, OSError why nothing can be."""
    try:
        if path.name.endswith((".swf", ".swf.gz")):
            return read_swf(path)
        if path.suffix == ".csv":
            return read_itp(path)
    except (UnicodeDecodeError, EOFError) as error:
        raise BadTrace(f"{path.name} is damaged, or no text: {error}") from error
    raise BadTrace(f"{path.name}: no trace is read by that name; .swf, .swf.gz and .csv are")
