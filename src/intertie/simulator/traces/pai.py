"""Alibaba's PAI-2020 as sampled for GAIA (github.com/umassos/GAIA, MIT): one CSV.

arrival_time, length, cpus: in seconds in the sample of 1 000 jobs, in hours in that of 100 000,
which alone has lengths that are no whole numbers. Nobody stated a length.
"""

from pathlib import Path

from intertie.simulator.traces.table import numbers
from intertie.simulator.traces.trace import Trace, checked, some_in_order

NEEDED = ("arrival_time", "length", "cpus")
HOUR_S = 3600


def read_pai(path: Path) -> Trace:
    """Return the jobs of a sample; BadTrace names the line and the field that cannot be read."""
    read = list(numbers(path, NEEDED))
    each_s = 1 if all(row[1].is_integer() for _, row in read) else HOUR_S
    rows = []
    for where, (arrival, length, cpus) in read:
        submit, run, units = checked(
            where, submit=arrival * each_s, run=length * each_s, units=cpus
        )
        if run > 0:
            rows.append((submit, run, run, units, 0))
    return some_in_order(path, rows)
