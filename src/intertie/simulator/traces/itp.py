"""Clusters of Microsoft ITP (github.com/microsoft/elasticflow-traces, MIT): one CSV for each.

job_id, submission_time and duration in seconds, num_gpu. Nobody stated a length: what ran is it.
"""

from pathlib import Path

from intertie.simulator.traces.table import numbers
from intertie.simulator.traces.trace import Trace, checked, some_in_order

NEEDED = ("submission_time", "duration", "num_gpu")


def read_itp(path: Path) -> Trace:
    """Return the jobs of one cluster; BadTrace names the line and the field that cannot be read."""
    rows = []
    for where, row in numbers(path, NEEDED):
        submit, run, units = checked(where, submit=row[0], run=row[1], units=row[2])
        if run > 0:
            rows.append((submit, run, run, units, 0))
    return some_in_order(path, rows)
