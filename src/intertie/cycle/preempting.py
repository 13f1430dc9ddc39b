"""Place, first part: owners on their own pools, and the guests that make way for them."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from intertie.cycle.running import holding, releases_of
from intertie.cycle.views import facts_of, name_of, request_of
from intertie.model.policy import Policy
from intertie.model.states import LeaseState
from intertie.model.units import MILLI
from intertie.placement.fill import fill
from intertie.placement.given import BACKFILLS, NO_TRADE, Jobs, Kins, Payers, Places
from intertie.placement.keeping import nothing_kept
from intertie.placement.preempting import (
    LOSS_MAX,
    NOW,
    Guests,
    claim,
    take_back,
    with_leaving,
    without_guests,
)
from intertie.placement.shares import take
from intertie.world.kins import Kin
from intertie.world.table import Ints
from intertie.world.world import ROOM, World

# 34 years: with units below a thousand it stays below where int64 wraps.
_RAN_MS_MAX = 2**40


class Owned(NamedTuple):
    """What owners' jobs come to: (job, node) of each task that starts now, by their rows.

    `evicted` are the numbers of the leases that are to make way.
    """

    placed: list[tuple[int, int]]
    evicted: list[int]


class Tenants(NamedTuple):
    """Who runs on owners' pools, by slot of their leases: owners, guests, and who leaves anyway."""

    owners: Ints
    guests: Ints
    leaving: Ints


def owned(world: World, kins: list[Kin], rank: Ints, pools: list[int]) -> Ints:
    """Return the ranks of owners on their own pools alone: there they come before guests.

    Only where the owner's job would rather run than anywhere else: owning a machine does not
    send a job to it that wants to be cheap or soon elsewhere.
    """
    own = np.full_like(rank, NO_TRADE)
    names = np.array([name_of(world, "project", kin.project) for kin in kins])
    for at, pool in enumerate(pools):
        facts = facts_of(world, pool)
        if facts is not None and facts.terms.own_project:
            own[(names == facts.terms.own_project) & (rank[:, at] == 0), at] = 0
    return own


def owners_first(
    world: World,
    pools: list[int],
    nodes: list[int],
    own: Ints,
    jobs: Jobs,
    kins: Kins,
    places: Places,
    payers: Payers,
    policy: Policy,
    now: int,
) -> Owned:
    """Place owners' jobs at home as if there were no guests, and say who must leave for them.

    What starts is taken from places, jobs and payers. Room for those that must wait until guests
    have left is taken from places too, so that nobody slips in, and their tasks from the jobs: what
    leaves already is counted on first, so that nobody is ended twice for one job.
    """
    if (own == NO_TRADE).all():
        return Owned([], [])
    numbers = [
        pool for pool, is_own in zip(pools, (own != NO_TRADE).any(axis=0), strict=True) if is_own
    ]
    tenants = _tenants(world, numbers, nodes)
    guests = _guests(world, tenants.guests, nodes, policy, now)
    soon = with_leaving(places, _held(world, tenants.leaving, nodes))
    alone = without_guests(soon, guests)
    mine, backfill = kins._replace(rank=own), BACKFILLS.index(policy.backfill)
    releases = releases_of(world, nodes, policy, now, tenants.owners)
    asked, purse = deepcopy((jobs, payers))
    rows, there = fill(asked, mine, alone, purse, releases, nothing_kept(alone), backfill)
    claims = claim(rows, there, jobs, mine, places, soon, payers.wallet)
    claims, gone = take_back(claims, jobs, mine, places, soon, guests)
    for job in claims.job.tolist():
        jobs.tasks[job] -= 1
    is_now = claims.when == NOW
    starting = claims.job[is_now]
    for kin in jobs.kin[starting].tolist():
        take(payers, kins.project[kin], kin, 1, kins.use[kin])
    placed = list(zip(starting.tolist(), claims.node[is_now].tolist(), strict=True))
    return Owned(placed, world.leases.column("id")[tenants.guests[gone]].tolist())


def _tenants(world: World, pools: list[int], nodes: list[int]) -> Tenants:
    """Return who runs on these pools; a lease on a node that has gone is in nobody's way."""
    leases = world.leases
    slots = np.flatnonzero(np.isin(leases.column("pool"), pools) & leases.used())
    slots = holding(world, slots)
    slots = slots[np.isin(leases.column("node")[slots], nodes)]
    slots = slots[np.argsort(leases.column("id")[slots])]
    leaves = leases.column("state")[slots] == LeaseState.STOPPING
    staying = slots[~leaves]
    owners = {pool: _owner(world, pool) for pool in pools}
    whose = np.array([owners[pool] for pool in leases.column("pool")[staying].tolist()], np.int64)
    is_own = leases.column("project")[staying] == whose
    return Tenants(staying[is_own], staying[~is_own], slots[leaves])


def _owner(world: World, pool: int) -> int:
    facts = facts_of(world, pool)
    return world.names.get(("project", facts.terms.own_project), 0) if facts else 0


def _held(world: World, slots: Ints, nodes: list[int]) -> Ints:
    """Return what these leases hold in all; axes [node, resource]."""
    held = np.zeros((len(nodes), len(ROOM)), np.int64)
    np.add.at(
        held, np.searchsorted(nodes, world.leases.column("node")[slots]), _sizes(world, slots)
    )
    return held


def _sizes(world: World, slots: Ints) -> Ints:
    return np.stack([world.leases.column(name)[slots] for name in ROOM], axis=1)


def _guests(world: World, slots: Ints, nodes: list[int], policy: Policy, now: int) -> Guests:
    """Return guests as the kernel takes them: those of a gang end together and lose together."""
    leases = world.leases
    job_slot = leases.column("job_slot")[slots]
    is_gang = world.jobs.column("is_gang")[job_slot] > 0
    number, job = leases.column("id")[slots], leases.column("job")[slots]
    _, group = np.unique(np.where(is_gang, 2 * job + 1, 2 * number), return_inverse=True)
    group = group.reshape(-1).astype(np.int64)
    of_group = np.zeros(len(slots), np.int64)
    np.add.at(of_group, group, _losses(world, slots, now))
    node = np.searchsorted(nodes, leases.column("node")[slots]).astype(np.int64)
    return Guests(node, _sizes(world, slots), group, np.minimum(of_group[group], LOSS_MAX))


def _losses(world: World, slots: Ints, now: int) -> Ints:
    """Return what each lease would do again if it ended now, in unit-milliseconds; axes [lease].

    All that it ran, but nothing where it saves its work within the grace that it is given.
    """
    leases = world.leases
    began, units, grace_s, job = (
        leases.column(name)[slots] for name in ("started_at", "units_milli", "grace_s", "job")
    )
    saved = [request_of(world, number).checkpoint for number in job.tolist()]
    needs_s = np.array([each.grace_s if each else -1 for each in saved], np.int64)
    saves = (needs_s >= 0) & (needs_s <= grace_s)
    ran_ms = np.where(began > 0, np.maximum(0, now - began), 0)
    lost: Ints = np.where(
        saves, 0, np.minimum(ran_ms, _RAN_MS_MAX) * np.minimum(units, MILLI**2) // MILLI
    )
    return np.minimum(lost, LOSS_MAX // max(1, len(slots)))
