"""ITP's clusters with deadlines (github.com/microsoft/elasticflow-traces, MIT): one CSV for each.

submission_time, duration, deadline in seconds, num_gpu, num_iteration, model_name, batch_size.
How fast a job is at another size is the catalogue's word, measured by the same authors.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from intertie.catalogue.scaling import read_scaling
from intertie.simulator.traces.table import texts
from intertie.simulator.traces.trace import BadTrace, Ints, S, Trace, checked

NUMBERS = ("submission_time", "duration", "deadline", "num_gpu", "num_iteration", "batch_size")
NEEDED = (*NUMBERS, "model_name")
NANO = 10**9


def _none() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class DeadlineTrace(Trace):
    """Jobs that are to be done in time, and may run at several sizes; axes [job], [job, size].

    `work` in billionths of an iteration, `rate` of that in a millisecond, 0 where it does not run
    at that size. `units_of` are what sizes hold and `starts_ms` what it takes to start at one.
    """

    OF_ALL: ClassVar[tuple[str, ...]] = ("capacity", "units_of", "starts_ms")

    deadline_ms: Ints = field(default_factory=_none)
    work: Ints = field(default_factory=_none)
    rate: Ints = field(default_factory=_none)
    units_of: Ints = field(default_factory=_none)
    starts_ms: Ints = field(default_factory=_none)


def read_deadlines(path: Path) -> DeadlineTrace:
    """Return the jobs by submission; BadTrace names the line and the field that is wrong."""
    scaling = read_scaling()
    rows, rates = [], []
    for where, row in texts(path, NEEDED):
        try:
            told = dict(zip(NUMBERS, (float(row[name]) for name in NUMBERS), strict=True))
        except (TypeError, ValueError) as error:
            raise BadTrace(f"{where}: {error}") from error
        submit, run, until, units, iterations, batch = checked(where, **told)
        known = scaling.rates.get((row["model_name"], batch))
        if known is None:
            raise BadTrace(f"{where}: nothing is known of {row['model_name']} at batch {batch}")
        if run > 0 and units > 0:
            rows.append((submit * S, run * S, units, until * S, iterations * NANO))
            rates.append((*known, *[0] * (len(scaling.devices) - len(known))))
    if not rows:
        raise BadTrace(f"{path.name}: no job in it ran")
    columns = np.array(rows, np.int64)
    order = np.argsort(columns[:, 0], kind="stable")
    submit_ms, run_ms, units_held, deadline_ms, work = columns[order].T.copy()
    none = np.zeros(len(rows), np.int64)
    return DeadlineTrace(
        submit_ms,
        run_ms,
        run_ms,
        units_held,
        none,
        none,
        deadline_ms=deadline_ms,
        work=work,
        rate=np.array(rates, np.int64)[order],
        units_of=np.array(scaling.devices, np.int64),
        starts_ms=np.array(scaling.start_s, np.int64) * S,
    )
