"""Tables with a header: rows of whole numbers, read by the names of their columns."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from intertie.simulator.traces.trace import BadTrace


def opened(path: Path) -> IO[str]:
    """Return an open text file, unpacked if its name ends in .gz."""
    return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")


def numbers(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, list[float]]]:
    """Yield (file and line, the named columns) of each row; BadTrace names what is no number."""
    for where, row in texts(path, names):
        try:
            yield where, [float(row[name]) for name in names]
        except (TypeError, ValueError) as error:
            raise BadTrace(f"{where}: {error}") from error


def texts(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file and line, row by column) of each row; BadTrace if a named column is missing."""
    with opened(path) as file:
        reader = csv.DictReader(file)
        if missing := [name for name in names if name not in (reader.fieldnames or ())]:
            raise BadTrace(f"{path.name}: no column {missing[0]}; it has {reader.fieldnames}")
        for row in reader:
            yield f"{path.name}:{reader.line_num}", row
