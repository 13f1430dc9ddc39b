"""What placement expects to come, from how many tasks of each shape a workload has.

Whoever asks says what that workload is: what was seen so far, or, as the published runs of FGD
do, the list that the arrivals are drawn from. None of it knows the order in which they come.
"""

from decimal import Decimal
from typing import NamedTuple

import numpy as np

from intertie.placement.fraction_scores import chance
from intertie.placement.fractions import DEVICE_MILLI, Machines, Outlook, Shapes
from intertie.placement.given import Ints

_POPULAR_PERCENT = 95  # of the tasks are FGD's typical ones
_PERCENTS = range(1, 100)


class Depth(NamedTuple):
    """How far least-stranded looks: so many orders of so many tasks each.

    Differences below `grain_milli` of a device do not count: the lowest node of those wins, which
    keeps the others empty for what needs them whole.
    """

    sequences: int = 32
    tasks: int = 50
    grain_milli: int = 20


def outlook_of(
    shapes: Shapes,
    count: Ints,
    machines: Machines,
    depth: Depth = Depth(),  # noqa: B008
) -> Outlook:
    """Return what to expect of a workload that has count[shape] tasks on machines that are idle.

    Shapes that differ in memory alone must stand together: FGD's published runs do not tell them
    apart. Raises ValueError where there are no tasks.
    """
    if not count.sum():
        raise ValueError("there are no tasks to expect anything of")
    typical, popular = _typical(shapes, count)
    largest = [machines.cpu.max(initial=1), max(1, machines.device.sum(axis=1).max(initial=1))]
    return Outlook(
        typical,
        popular,
        _steps(int(popular.sum())),
        _draws(shapes, count, depth),
        depth.grain_milli * depth.sequences,
        np.array(largest, np.int64),
    )


def _typical(shapes: Shapes, count: Ints) -> tuple[Ints, Ints]:
    """Return FGD's typical tasks, the most frequent ones first, and how many there are of each."""
    parts = [shapes.cpu, shapes.devices, shapes.device_milli, *shapes.allowed.T]
    seen: dict[tuple[int, ...], int] = {}
    first = [
        seen.setdefault(tuple(map(int, row)), at) for at, row in enumerate(zip(*parts, strict=True))
    ]
    merged = np.bincount(first, weights=count, minlength=len(count)).astype(np.int64)
    order = sorted(set(first), key=lambda shape: (-int(merged[shape]), -shape))
    kept, covered = 0, 0
    while covered * 100 < int(count.sum()) * _POPULAR_PERCENT:
        covered += int(merged[order[kept]])
        kept += 1
    chosen = np.array(order[:kept], np.int64)
    return chosen, merged[chosen]


def _steps(tasks: int) -> Ints:
    """Return from which fall of the level on FGD's score is at least 1, 2 … 99 percent.

    It is 100 / (1 + e^(-fall)), the fall in devices, truncated.
    """
    falls = [(Decimal(percent) / (100 - percent)).ln() for percent in _PERCENTS]
    whole = [(fall * DEVICE_MILLI * tasks).to_integral_value("ROUND_CEILING") for fall in falls]
    return np.array([int(each) for each in whole], np.int64)


def _draws(shapes: Shapes, count: Ints, depth: Depth) -> Ints:
    """Return which tasks may come, each shape as often as it is in the workload.

    In each order those that hold most come first: they find room in fewer places, and in a fleet
    that is nearly full what is small fills what they leave.
    """
    total, reach = int(count.sum()), np.cumsum(count)
    drawn = [
        [chance(sequence, place) % total for place in range(depth.tasks)]
        for sequence in range(depth.sequences)
    ]
    found = np.searchsorted(reach, np.array(drawn, np.int64), side="right")
    held = (shapes.devices * shapes.device_milli)[found]
    largest_first = np.argsort(-held, axis=1, kind="stable")
    return np.take_along_axis(found, largest_first, axis=1).astype(np.int64)
