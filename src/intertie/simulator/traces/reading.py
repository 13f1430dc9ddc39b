"""Which reader a file wants: by its name, and a table by its columns."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intertie.simulator.traces import deadlines, itp, muri, openb, pai
from intertie.simulator.traces.sliced import read_sliced
from intertie.simulator.traces.swf import read_swf
from intertie.simulator.traces.table import opened
from intertie.simulator.traces.trace import BadTrace

# The first whose columns are all there reads the table: what asks for more columns stands first.
TABLES: tuple[tuple[tuple[str, ...], Callable[[Path], Any]], ...] = (
    (deadlines.NEEDED, deadlines.read_deadlines),
    (muri.NEEDED, muri.read_muri),
    (openb.NEEDED, openb.read_openb),
    (itp.NEEDED, itp.read_itp),
    (pai.NEEDED, pai.read_pai),
)


def read_trace(path: Path, throughputs: Path | None = None) -> Any:
    """Return a file's jobs; BadTrace names what cannot be read, OSError why nothing can be.

    `throughputs` is the table of speeds that some traces need beside them.
    """
    plain = path.name.removesuffix(".gz")
    try:
        if plain.endswith(".swf"):
            return read_swf(path)
        if plain.endswith(".csv"):
            return _read_table(path)
        if plain.endswith(".trace"):
            return read_sliced(path, throughputs)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise BadTrace(f"{path.name} is damaged, or no text: {error}") from error
    raise BadTrace(
        f"{path.name}: no trace is read by that name; .swf, .csv and .trace are, also .gz"
    )


def _read_table(path: Path) -> Any:
    with opened(path) as file:
        columns = file.readline().strip().split(",")
    for needed, read in TABLES:
        if set(needed) <= set(columns):
            return read(path)
    known = "; ".join(", ".join(needed) for needed, _ in TABLES)
    raise BadTrace(f"{path.name}: its columns are {', '.join(columns)}; known are {known}")
