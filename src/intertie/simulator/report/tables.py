"""The tables of a report: jobs as parquet, the scoreboard as JSON."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from intertie.simulator.running import Outcome

PACKAGE = "pyarrow"
SCOREBOARD = "scoreboard.json"


def can_write() -> bool:
    """Return whether what writes parquet is installed; it comes with `intertie[reports]`."""
    return find_spec(PACKAGE) is not None


def write_jobs(outcomes: dict[str, Outcome], path: Path) -> None:
    """Write a row for each job of each outcome that tells of its jobs.

    The columns are those of the outcomes and `policy`, in order of their names; what an outcome
    does not tell is null. The same outcomes give the same bytes.
    """
    import pyarrow as pa  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-untyped, import-not-found, unused-ignore]

    tables = []
    for label, outcome in outcomes.items():
        if outcome.jobs:
            count = len(next(iter(outcome.jobs.values())))
            columns = {name: np.asarray(column) for name, column in sorted(outcome.jobs.items())}
            tables.append(pa.table({"policy": [label] * count, **columns}))
    if tables:
        whole = pa.concat_tables(tables, promote_options="default")
        pq.write_table(whole, path, compression="zstd")


def write_scoreboard(told: dict[str, Any], folder: Path) -> None:
    """Write the scoreboard of all traces."""
    (folder / SCOREBOARD).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
