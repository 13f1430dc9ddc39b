"""When what runs is expected to end, and what it gives back then: what is quoted and kept by."""

import numpy as np

from intertie.model.policy import Policy
from intertie.model.states import FINISHING, LeaseState
from intertie.model.units import MICRO, MILLI
from intertie.placement.given import Releases
from intertie.world.table import Ints
from intertie.world.world import ROOM, World

# Longer work is as good as endless, and shorter than where int64 wraps.
_WORK_S_MAX = 2**42


def holding(world: World, slots: Ints) -> Ints:
    """Return those of the leases, by slot, that hold more than their files' disk."""
    leases = world.leases
    is_alive = leases.column("state")[slots] <= LeaseState.STOPPING
    kept: Ints = slots[is_alive & (leases.column("observed")[slots] < FINISHING)]
    return kept


def ends_s(world: World, slots: Ints) -> Ints:
    """Return at which second each lease should end by what is known of its work; axes [slot]."""
    leases, jobs = world.leases, world.jobs
    job = leases.column("job_slot")[slots]
    expected_s, limit_s = jobs.column("expected_s")[job], jobs.column("time_limit_s")[job]
    score = np.maximum(1, leases.column("score_millionths")[slots])
    stated_s = np.minimum(np.where(expected_s > 0, expected_s, limit_s), _WORK_S_MAX)
    found: Ints = begun_s(world, slots) - (-stated_s * MICRO // score)
    return found


def begun_s(world: World, slots: Ints) -> Ints:
    """Return at which second each lease began, or should begin; axes [slot]."""
    leases = world.leases
    placed_at, started_at = leases.column("placed_at")[slots], leases.column("started_at")[slots]
    # What waits at its site begins when the site says so.
    starts_at = np.maximum(placed_at, leases.column("expected_start_at")[slots])
    found: Ints = np.where(started_at > 0, started_at, starts_at) // MILLI
    return found


def running_on(world: World, nodes: list[int], among: Ints | None = None) -> Ints:
    """Return the slots of the leases that hold room on these nodes, given in order of number.

    Only of leases `among` these slots, if told.
    """
    leases = world.leases
    slots = holding(world, np.flatnonzero(leases.used()) if among is None else among)
    found: Ints = slots[np.isin(leases.column("node")[slots], nodes)]
    return found


def releases_of(
    world: World, nodes: list[int], policy: Policy, now: int, among: Ints | None = None
) -> Releases:
    """Return what each lease gives back, and in how long; who is overdue, now.

    `nodes` are the numbers of the nodes, in order; a lease on one that has gone gives nothing
    back. Only leases `among` these slots, if told. Nothing where no policy asks for it.
    """
    leases = world.leases
    there = nodes if policy.backfill != "first-fit" else []
    slots = running_on(world, there, among)
    at = np.maximum(0, ends_s(world, slots) * MILLI - now)
    node = np.searchsorted(nodes, leases.column("node")[slots])
    size = np.stack([leases.column(name)[slots] for name in ROOM], axis=1)
    return Releases(at, node, size, np.argsort(at, kind="stable"))
