"""How sure a mean is: intervals over resamples of blocks of jobs by time, from a given seed.

Jobs that wait beside each other wait alike, so blocks of them are drawn and not jobs (Künsch 1989).
Policies are drawn alike, so that what lies between two of them is told more surely than each.
"""

from collections.abc import Iterator

import numpy as np

from intertie.simulator.report.measures import Floats, by_job
from intertie.simulator.running import Outcome
from intertie.simulator.traces.trace import Ints

RESAMPLES = 400
LOW, HIGH = 2.5, 97.5


def intervals(outcomes: dict[str, Outcome], seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the 95 % interval of each measure of each outcome, and of its gap to the first.

    A gap is named for its measure with `_less` behind it: how much more the first has. All outcomes
    are of the same jobs.
    """
    first = next(iter(outcomes.values()))
    draws = list(_draws(first.jobs["submit_ms"], seed))
    found: dict[str, dict[str, tuple[float, float]]] = {label: {} for label in outcomes}
    for name, (value, told) in by_job().items():
        base: Floats | None = None
        for label, outcome in outcomes.items():
            each = value(outcome)
            means = np.array([told(each[draw]) for draw in draws])
            found[label][name] = _interval(means)
            if base is not None:
                found[label][f"{name}_less"] = _interval(base - means)
            base = means if base is None else base
    return found


def _draws(submit: Ints, seed: int) -> Iterator[Ints]:
    """Yield the rows of each resample: as many blocks as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    order = np.argsort(submit, kind="stable")
    blocks = np.array_split(order, max(1, int(len(order) ** 0.5)))
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(blocks), len(blocks))
        yield np.concatenate([blocks[at] for at in drawn])


def _interval(means: Floats) -> tuple[float, float]:
    low, high = np.percentile(means, (LOW, HIGH))
    return float(low), float(high)
