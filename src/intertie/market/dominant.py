"""The dominant share of a node: what one task is billed for."""

from intertie.model.parties import NodeFacts
from intertie.model.request import Resources
from intertie.model.units import MILLI, ceil_div


def units_milli(need: Resources, node: NodeFacts) -> int:
    """Return thousandths of a unit that one task is billed for on this node, rounded up.

    The unit is one device where the node has devices, else one core. A task that takes half of
    the memory and one core of eight keeps four cores from being sold, and pays for four.
    """
    total = node.device_count * MILLI if node.device_count else node.cpus_milli
    shares = [
        ceil_div(need.cpus_milli * total, node.cpus_milli),
        ceil_div(need.memory_bytes * total, node.memory_bytes),
    ]
    if node.device_count:
        shares.append(need.device_count * MILLI)
    return max(shares)
