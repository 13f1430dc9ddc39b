"""A workload inflated by drawing its own pods again, in the very order of the published runs.

hkust-adsl's simulator sorts the pods by name, shuffles them with Go's generator seeded, then
appends (or drops) pods drawn at random until the devices asked for are a given share of the
capacity. With seed 42 this gives the order that was published, pod by pod.
"""

import numpy as np

from intertie.simulator.chance import GoRandom
from intertie.simulator.traces.openb import Fleet, Pods
from intertie.simulator.traces.trace import Ints

# What Go's generator gave away between the pods and the nodes: to the watches that the simulator
# opens. Counted on the published placements of seed 42; with another seed it may be otherwise.
_WATCHES = 10


def inflated(pods: Pods, fleet: Fleet, percent: int, seed: int) -> tuple[Ints, Fleet]:
    """Return the pods' rows in order of arrival, and the nodes in the order that ties are settled.

    Together they ask for about `percent` of the fleet's devices.
    """
    random = GoRandom(seed)
    random.bits63()  # the simulator writes one into its log
    order = random.shuffled(len(pods))
    milli, held = pods.asked[pods.shape, 1], pods.held_milli[pods.shape]
    most, asked = percent * fleet.capacity_milli, int(held.sum()) * 100
    if asked > most:
        while asked > most:
            asked -= 100 * int(held[order.pop(random.below(len(order)))])
    elif asked < most:
        while asked + 100 * int(milli[drawn := random.below(len(pods))]) <= most:
            asked += 100 * int(held[drawn])
            order.append(drawn)
    for _ in range(_WATCHES):
        random.bits63()
    return np.array(order, np.int64), fleet.ordered(np.argsort(random.permutation(len(fleet.name))))
