"""Clear: the waiting jobs in queue order, and the claims of their kins at list prices."""

from dataclasses import dataclass

import numpy as np

from intertie.cycle.preempting import owned
from intertie.cycle.prices import LARGEST, Prices, prices_of
from intertie.cycle.standing import Standing, standing_of
from intertie.market.clearing import clear
from intertie.model.parties import device_code
from intertie.model.policy import Policy
from intertie.model.states import JobState, PoolState
from intertie.model.units import MILLI
from intertie.placement.fill import has_room, waits
from intertie.placement.given import NO_TRADE, WAIT, Jobs, Kins, Places
from intertie.placement.ordering import ORDERS, PRIORITY_MAX, queue_keys
from intertie.world.kins import Kin
from intertie.world.table import Ints, Mask
from intertie.world.world import LENT, ROOM, World

# What the keys of a queue can tell apart: instants and lengths below 557 years, in milliseconds.
_LATEST, _UNITS_MAX = 2**44 - 1, 2**40


@dataclass(frozen=True)
class Supply:
    """What may be sold at this instant: the pools and the nodes by id, and the nodes' columns.

    Disk is limited by nodes alone.
    """

    pools: list[int]
    nodes: list[int]
    places: Places


@dataclass(frozen=True)
class Orders:
    """The waiting jobs that find room somewhere, in order: their numbers and columns.

    Those that were promised a deadline come first, the first deadline first; then the oldest.
    `kins` are theirs, `columns` and `prices` what the kernel reads of these, `own` the ranks of
    owners on their own pools; `standing` is how everybody stands by whom `columns.project` counts.
    `queue` are the jobs' rows, each project's together and in the order in which it wants them
    served.
    """

    numbers: Ints
    jobs: Jobs
    is_promised: Mask
    queue: Ints
    kins: list[Kin]
    columns: Kins
    own: Ints
    prices: Prices
    standing: Standing


def supply_of(world: World) -> Supply:
    """Return every pool and node with what is free there; below zero where an owner took back."""
    pools, nodes = world.pools, world.nodes
    numbers = pools.numbers(pools.used())
    pool_slots = [pools.slots[number] for number in numbers]
    here = nodes.numbers(nodes.used())
    node_slots = [nodes.slots[number] for number in here]
    free = np.stack(
        [(nodes.column(name) - nodes.column(f"held_{name}"))[node_slots] for name in ROOM], axis=1
    )
    lent = np.full((len(numbers), len(ROOM)), LARGEST, np.int64)
    for name in LENT:
        left = pools.column(f"lent_{name}") - pools.column(f"held_{name}")
        lent[:, ROOM.index(name)] = left[pool_slots]
    owners, machines, classes, wait_s = (
        nodes.column(name)[node_slots]
        for name in ("pool", "machine_count", "device_class", "wait_s")
    )
    whole = np.stack([nodes.column(name)[node_slots] // machines for name in ROOM], axis=1)
    pool_row = np.searchsorted(np.array(numbers, np.int64), owners)
    traits = np.stack([pool_row, classes, wait_s], axis=1)
    return Supply(numbers, here, Places(free, whole, traits, lent))


def orders_of(
    world: World, supply: Supply, policy: Policy, now: int, is_for_later: bool = False
) -> Orders | None:
    """Return the orders of this round, or None if nothing that waits fits anywhere.

    With `is_for_later` also who fits nowhere now: all that waits, as long as anything does.
    """
    slots = _waiting(world)
    numbers = world.jobs.column("kin")[slots]
    which = np.flatnonzero(np.bincount(numbers))
    kins = [known for number in which.tolist() if (known := world.kins.of[number])]
    if not kins or not supply.nodes:
        return None
    row_of = np.zeros(len(world.kins.of), np.int64)
    row_of[which] = np.arange(len(which))
    kin = row_of[numbers]
    prices = prices_of(world, which.tolist(), supply.pools, policy)
    starved = _starved(world, slots, policy, now)
    standing = standing_of(world, {kin.project for kin in kins}, policy, now, starved)
    columns = columns_of(world, kins, standing.projects, supply, prices)
    # An owner's job may start where only guests are in its way.
    own = owned(world, kins, columns.rank, supply.pools)
    fits = (has_room(columns, supply.places) | (own != NO_TRADE).any(axis=1))[kin]
    # Else room may be kept for who fits nowhere now.
    if policy.backfill == "first-fit" and not is_for_later:
        slots, kin = slots[fits], kin[fits]
    if not fits.any() and not is_for_later:
        return None
    slots, kin = _in_order(world, slots, kin)
    jobs = _jobs(world, slots, kin, prices, columns)
    return Orders(
        numbers=world.jobs.column("id")[slots],
        jobs=jobs,
        is_promised=world.jobs.column("deadline_at")[slots] > 0,
        queue=queue_of(wishes_of(world, slots), jobs, columns, policy, now),
        kins=kins,
        columns=columns,
        own=own,
        prices=prices,
        standing=standing,
    )


def wishes_of(world: World, slots: Ints) -> Ints:
    """Return what the order within a project reads of jobs: arrival, deadline promised, priority.

    Axes [what, job].
    """
    names = ("submitted_at", "deadline_at", "priority")
    return np.stack([world.jobs.column(name)[slots] for name in names])


def queue_of(wishes: Ints, jobs: Jobs, columns: Kins, policy: Policy, now: int) -> Ints:
    """Return the rows by project and, within it, by priority and the policy's order."""
    submitted_at, deadline_at, priority = wishes
    cores = -(-columns.need[:, ROOM.index("cpus_milli")] // MILLI)
    units = np.minimum(np.maximum(cores, columns.need[:, ROOM.index("device_count")]), _UNITS_MAX)
    keys = queue_keys(
        ORDERS.index(policy.order),
        submitted_at,
        np.minimum(jobs.length, _LATEST),
        units[jobs.kin] * np.where(columns.is_gang[jobs.kin] > 0, jobs.tasks, 1),
        np.minimum(deadline_at, _LATEST),
        np.clip(priority, -PRIORITY_MAX, PRIORITY_MAX),
        now,
        policy.ageing_s * MILLI,
    )
    return np.lexsort((keys, columns.project[jobs.kin]))


def _starved(world: World, slots: Ints, policy: Policy, now: int) -> frozenset[int]:
    """Return the projects that were given nothing for as long as a job of theirs has waited."""
    before = now - policy.starved_s * MILLI
    jobs, projects = world.jobs, world.projects
    old = np.unique(jobs.column("project")[slots[jobs.column("submitted_at")[slots] < before]])
    return frozenset(n for n in old.tolist() if projects.value(n, "served_at") < before)


def columns_of(
    world: World, kins: list[Kin], projects: list[int], supply: Supply, prices: Prices
) -> Kins:
    """Return what the kernel reads of these kins at these prices, both in one order."""
    need = np.array([[getattr(k.request.resources, name) for name in ROOM] for k in kins], np.int64)
    wants = np.array([device_code(k.request.resources.device_class) for k in kins], np.int64)
    rank = _rank(world, kins, need, wants, supply, prices)
    # The least service units a task is expected to use, at least one millionth.
    use = np.maximum(1, np.where(rank == NO_TRADE, LARGEST, prices.use).min(axis=1))
    is_gang = np.array([kin.is_gang for kin in kins], np.int64)
    project = np.searchsorted(projects, [kin.project for kin in kins])
    return Kins(need, wants, rank, prices.hold, use, is_gang, project)


def _jobs(world: World, slots: Ints, kin: Ints, prices: Prices, columns: Kins) -> Jobs:
    """Return the jobs' columns; a task is expected to take as long as where it would rather be."""
    budget, spent, held, count = (
        world.jobs.column(name)[slots]
        for name in ("budget_micro", "spent_micro", "held_micro", "queued")
    )
    left = np.where(budget > 0, budget - spent - held, LARGEST)
    rank = np.where(columns.rank == NO_TRADE, LARGEST, columns.rank)
    task_s = np.take_along_axis(prices.task_s, rank.argmin(axis=1)[:, None], axis=1)[:, 0]
    return Jobs(kin, count, left, task_s[kin] * MILLI)


def _waiting(world: World) -> Ints:
    """Return the slots of the jobs with tasks to place: a gang is whole or absent."""
    jobs = world.jobs
    state, queued, kin = jobs.column("state"), jobs.column("queued"), jobs.column("kin")
    of = world.kins.of
    blocked = set(world.projects.numbers(world.projects.column("is_blocked") > 0))
    is_open = np.array([k is not None and k.project not in blocked for k in of], np.bool_)
    mask = (queued > 0) & is_open[kin] & (jobs.column("is_cancelled") == 0)
    mask &= (state == JobState.QUEUED) | (state == JobState.RUNNING)
    alive = jobs.column("task_count") - jobs.column("ended")
    mask &= (jobs.column("is_gang") == 0) | (queued == alive)
    return np.flatnonzero(mask)


def _rank(
    world: World, kins: list[Kin], need: Ints, wants: Ints, supply: Supply, prices: Prices
) -> Ints:
    """Return which kin may go to which pool at list prices, and in which order."""
    pools = world.pools
    slots = [pools.slots[number] for number in supply.pools]
    is_there = (pools.column("state")[slots] == PoolState.ONLINE) & (
        pools.column("is_draining")[slots] == 0
    )
    eligible = (prices.offer > 0) & is_there
    for name in LENT:
        at = ROOM.index(name)
        eligible &= need[:, at : at + 1] <= pools.column(f"lent_{name}")[slots]
    limit = np.array([kin.limit_micro_per_task for kin in kins], np.int64)
    soonest = np.array([kin.is_soonest for kin in kins], np.int64)
    done_s = prices.task_s
    if supply.places.traits[:, WAIT].any():
        done_s = done_s + waits(need, wants, supply.places)
    return clear(prices.micro, done_s, limit, soonest, eligible).rank


def _in_order(world: World, slots: Ints, kin: Ints) -> tuple[Ints, Ints]:
    """Who was promised a deadline by it, then the oldest first.

    The fill takes projects by their use, and the jobs of each in this order.
    """
    number, at, due = (
        world.jobs.column(name)[slots] for name in ("id", "submitted_at", "deadline_at")
    )
    order = np.lexsort((number, at, np.where(due > 0, due, LARGEST)))
    return slots[order], kin[order]
