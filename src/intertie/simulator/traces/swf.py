"""The Standard Workload Format of the Parallel Workloads Archive: 18 numbers a line.

https://www.cs.huji.ac.il/labs/parallel/workload/swf.html
"""

import re
from pathlib import Path

from intertie.simulator.traces.table import opened
from intertie.simulator.traces.trace import BadTrace, Trace, checked, some_in_order

FIELDS = 18
SUBMIT, RUN, USED, ASKED, LENGTH, USER = 1, 3, 4, 7, 8, 11
CAPACITY = re.compile(r";\s*MaxProcs:\s*(\d+)")


def read_swf(path: Path) -> Trace:
    """Return the jobs that ran; BadTrace names the line and the field that cannot be read.

    A job without a request asks for the processors that it used and the time that it took.
    """
    rows, capacity = [], 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.startswith(";"):
                found = CAPACITY.match(line)
                capacity = int(found[1]) if found else capacity
            elif words := line.split():
                told = _numbers(path, number, words)
                if told[RUN] > 0:
                    units = told[ASKED] if told[ASKED] > 0 else told[USED]
                    submit, run, length = (told[which] for which in (SUBMIT, RUN, LENGTH))
                    length = max(run, length)  # -1 where nobody asked
                    where = f"{path.name}:{number}"
                    checked(where, submit=submit, run=run, length=length, units=units)
                    rows.append((submit, run, length, units, told[USER]))
    return some_in_order(path, rows, capacity)


def _numbers(path: Path, number: int, words: list[str]) -> list[int]:
    if len(words) != FIELDS:
        raise BadTrace(f"{path.name}:{number}: {len(words)} fields, not {FIELDS}")
    try:
        return [int(float(word)) for word in words]
    except (ValueError, OverflowError) as error:
        raise BadTrace(f"{path.name}:{number}: {error}; write whole numbers") from error
