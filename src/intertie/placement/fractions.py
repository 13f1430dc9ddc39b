"""What the kernel of fractional devices is given: bundles of int64 columns with named axes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from intertie.placement.given import Ints

DEVICE_MILLI = 1000  # thousandths of a whole device
NOWHERE = -1
# How a node and a device are chosen, by their place in `SCORES`.
FGD, BEST_FIT, RANDOM, DOT_PRODUCT, GPU_PACKING, GPU_CLUSTERING, LEAST_STRANDED = range(7)
SCORES = (
    "fgd",
    "best-fit",
    "random",
    "dot-product",
    "gpu-packing",
    "gpu-clustering",
    "least-stranded",
)
FAMILIES = 9  # tasks by what they hold: part of a device, or 1 … 8 of them


class Shapes(NamedTuple):
    """What tasks ask for; axes [shape], and allowed[shape, class].

    Thousandths of a core, MiB, devices, and thousandths of each device: below 1000 only where one
    device is asked for, and then the task shares it; 0 devices where it wants none.
    """

    cpu: Ints
    memory: Ints
    devices: Ints
    device_milli: Ints
    allowed: NDArray[np.bool_]


class Machines(NamedTuple):
    """What is free; axes [node], device[node, device] in thousandths, hosted[node, family].

    `kind` is the class of a node's devices; `hosted` counts the tasks there by their family.
    """

    cpu: Ints
    memory: Ints
    device: Ints
    kind: Ints
    hosted: Ints


class Outlook(NamedTuple):
    """What is expected to come: the workload's tasks, and orders in which some of them may.

    `tasks`[typical] of them have the shape typical[typical]; `steps` are how far the expected
    fragment must shrink for each further percent of FGD's score; draws[sequence, place] are
    shapes; `grain` is the least difference in stranded thousandths, times sequences, that counts;
    `largest` the thousandths of cores and of devices of the largest machine.
    """

    typical: Ints
    tasks: Ints
    steps: Ints
    draws: Ints
    grain: int
    largest: Ints


class States(NamedTuple):
    """Nodes by what they have free, untouched ones that are equal as one; axes [state].

    `level` is a state's own score, `loss`[state, shape] what placing a task there costs, and
    slot[state, shape] the device for it; each is computed when first asked for.
    """

    free: Machines
    level: Ints
    loss: Ints
    slot: Ints


class Index(NamedTuple):
    """Which nodes are in which state: untouched ones wait in groups of equals.

    `members` are nodes, group after group; of group g those from heads[g] to ends[g] are
    untouched. `touched` are the others, as many as used[0]; state[node] of each.
    """

    members: Ints
    heads: Ints
    ends: Ints
    touched: Ints
    used: Ints
    state: Ints
