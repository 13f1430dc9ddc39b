"""When what runs is expected to give back what it holds: what a place step may plan with."""

import numpy as np

from intertie.cycle.orders import Supply
from intertie.model.policy import Policy
from intertie.model.states import FINISHING, LeaseState
from intertie.model.units import MILLI
from intertie.placement.given import Releases
from intertie.world.world import ROOM, World

_ALIVE = (LeaseState.PLACED, LeaseState.RUNNING, LeaseState.STOPPING)


def releases_of(world: World, supply: Supply, policy: Policy, now: int) -> Releases:
    """Return the leases that hold room, by when they are expected to end; none if nobody asks.

    A lease is expected to end with its job's stated run time, else with its time limit; one that
    is overdue, now. What has only its files left holds no more than disk, and is left out.
    """
    leases, jobs = world.leases, world.jobs
    if policy.behind == "anybody":
        nobody = np.zeros(0, np.int64)
        return Releases(nobody, nobody, np.zeros((0, len(ROOM)), np.int64))
    is_there = np.isin(leases.column("state"), _ALIVE) & (leases.column("observed") < FINISHING)
    slots = np.flatnonzero(leases.used() & is_there)
    job = leases.column("job_slot")[slots]
    limit_s, stated_s = jobs.column("time_limit_s")[job], jobs.column("expected_s")[job]
    length_s = np.where(stated_s > 0, np.minimum(stated_s, limit_s), limit_s)
    started, placed = leases.column("started_at")[slots], leases.column("placed_at")[slots]
    ends = np.where(started > 0, started, placed + leases.column("waited_ms")[slots])
    at = np.maximum(0, ends + length_s * MILLI - now)
    node = np.searchsorted(supply.nodes, leases.column("node")[slots])
    size = np.stack([leases.column(name)[slots] for name in ROOM], axis=1)
    return Releases(at, node, size)
