"""Clusters of Microsoft ITP (github.com/microsoft/elasticflow-traces, MIT): one CSV for each.

job_id, submission_time and duration in seconds, num_gpu. Nobody stated a length: what ran is it.
"""

import csv
from pathlib import Path

from intertie.simulator.traces.trace import BadTrace, S, Trace, checked, in_order

NEEDED = ("submission_time", "duration", "num_gpu")


def read_itp(path: Path) -> Trace:
    """Return the jobs of one cluster; BadTrace names the line and the field that cannot be read."""
    rows = []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
            raise BadTrace(f"{path.name}: no column {missing[0]}; it has {reader.fieldnames}")
        for row in reader:
            try:
                submit, run, units = (int(float(row[name])) for name in NEEDED)
            except (TypeError, ValueError, OverflowError) as error:
                raise BadTrace(f"{path.name}:{reader.line_num}: {error}") from error
            if run > 0:
                checked(f"{path.name}:{reader.line_num}", submit=submit, run=run, units=units)
                rows.append((submit * S, run * S, run * S, units, 0))
    if not rows:
        raise BadTrace(f"{path.name}: no job in it ran")
    return in_order(rows)
