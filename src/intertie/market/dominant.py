"""The dominant share of a node: what one task is billed for."""

from collections.abc import Sequence

from intertie.model.parties import NodeFacts
from intertie.model.request import Resources
from intertie.model.units import MILLI, ceil_div


def units_milli(need: Resources, node: NodeFacts, pool: Sequence[NodeFacts]) -> int:
    """Return thousandths of a unit that one task is billed for on this node, rounded up.

    The unit is one device where the pool has devices, else one core. A task that takes half of
    the memory and one core of eight keeps four cores from being sold, and pays for four.
    """
    total = whole_milli(node, pool)
    shares = [
        ceil_div(need.cpus_milli * total, node.cpus_milli),
        ceil_div(need.memory_bytes * total, node.memory_bytes),
    ]
    if node.device_count:
        shares.append(need.device_count * MILLI)
    return max(shares)


def whole_milli(node: NodeFacts, pool: Sequence[NodeFacts]) -> int:
    """Return thousandths of a unit that a whole node of a pool is; `pool` are all of its nodes.

    A node without devices in a pool that has some is as many as its cores come with elsewhere in
    that pool: a core costs there what it costs beside the devices.
    """
    if node.device_count:
        return node.device_count * MILLI
    others = [each for each in pool if each.device_count]
    if not others:
        return node.cpus_milli
    devices = sum(each.device_count for each in others)
    return ceil_div(node.cpus_milli * devices * MILLI, sum(each.cpus_milli for each in others))
