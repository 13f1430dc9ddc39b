"""What pools have for tasks of one shape: how many fit, and how long they would wait."""

from typing import NamedTuple

import numpy as np

from intertie.model.parties import Pool, device_code
from intertie.model.request import Resources
from intertie.world.table import Ints
from intertie.world.world import LENT, ROOM, World


class Rooms(NamedTuple):
    """How many tasks fit what is free in a pool now, and how many what is lent in all.

    In `wait_s` one of them would start at the pool's site by its own word; 0: at once.
    """

    free: int = 0
    total: int = 0
    wait_s: int = 0


def rooms_of(world: World, pool: Pool, need: Resources) -> Rooms:
    """Return what a pool has for tasks of one shape, found for all pools at once and kept.

    Bounded by what its owner lends and by nodes of the class that is wanted; of a group of machines
    each holds its own tasks.
    """
    stamp, kept = (world.supply, world.room), world.memo.get("rooms")
    if kept is None or kept[0] != stamp:
        kept = world.memo["rooms"] = (stamp, {})
    known: dict[Resources, dict[int, Rooms]] = kept[1]
    if need not in known:
        known[need] = _survey(world, need)
    return known[need].get(pool.id, Rooms())


def _survey(world: World, need: Resources) -> dict[int, Rooms]:
    """Return what each pool has that has a node which could hold one task."""
    nodes = world.nodes
    slots = _suiting(world, need)
    count = nodes.column("machine_count")[slots]
    sizes = np.stack([nodes.column(name)[slots] for name in ROOM], axis=1)
    held = np.stack([nodes.column(f"held_{name}")[slots] for name in ROOM], axis=1)
    wanted = np.array([getattr(need, name) for name in ROOM], np.int64)
    total = _times(wanted, sizes // count[:, None]) * count
    free = np.minimum(total, np.maximum(0, _times(wanted, sizes - held)))
    pools, row = np.unique(nodes.column("pool")[slots], return_inverse=True)
    sums, wait_s = np.zeros((2, len(pools)), np.int64), np.full(len(pools), 2**62, np.int64)
    np.add.at(sums[0], row, free)
    np.add.at(sums[1], row, total)
    np.minimum.at(wait_s, row, nodes.column("wait_s")[slots])
    found = zip(pools.tolist(), *sums.tolist(), wait_s.tolist(), strict=True)
    return {pool: _lent(world, pool, need, Rooms(*rest)) for pool, *rest in found}


def _suiting(world: World, need: Resources) -> Ints:
    """Return the slots of the nodes of which one machine could hold one task."""
    nodes, wanted = world.nodes, device_code(need.device_class)
    count = np.maximum(1, nodes.column("machine_count"))
    suits = nodes.used()
    if wanted:
        suits &= nodes.column("device_class") == wanted
    for name in ROOM:
        suits &= nodes.column(name) // count >= getattr(need, name)
    return np.flatnonzero(suits)


def _times(wanted: Ints, sizes: Ints) -> Ints:
    """Return how often what is wanted fits into each row; axes [node]. Something is wanted."""
    asked = wanted > 0
    times: Ints = (sizes[:, asked] // wanted[asked]).min(axis=1)
    return times


def _lent(world: World, pool: int, need: Resources, rooms: Rooms) -> Rooms:
    """Return what is left of a pool's rooms when its owner's bounds are kept."""
    free, total = rooms.free, rooms.total
    for name in LENT:
        asks = getattr(need, name)
        if asks:
            lent, held = world.pools.values(pool, (f"lent_{name}", f"held_{name}"))
            free, total = min(free, (lent - held) // asks), min(total, lent // asks)
    return Rooms(max(0, free), max(0, total), rooms.wait_s)
