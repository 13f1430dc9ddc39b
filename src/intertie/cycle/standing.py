"""Who stands where in the share tree at one instant: what each holds, may hold and has used."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from intertie.cycle.running import holding
from intertie.cycle.shares import project_uses
from intertie.cycle.views import facts_of
from intertie.model.parties import Project, device_code
from intertie.model.policy import Policy
from intertie.model.shares import CPUS, MEMORY, WHOLE_PPM, Cohort, Quotas
from intertie.model.states import PoolState
from intertie.model.units import MIB
from intertie.placement.given import LARGEST, Takes, Tree
from intertie.placement.shares import WHOLE, bounds_of, dominant, drawn_up, parts_of
from intertie.world.kins import Kin
from intertie.world.table import Ints
from intertie.world.world import World

_LENDS = (PoolState.ONLINE, PoolState.DRAINING)


@dataclass(frozen=True)
class Standing:
    """The share tree; members as in `placement.given.Tree`: projects, cohorts, the root.

    `resources` are cores, memory and each class of devices; held[project, resource] and
    totals[resource], what is lent in all; quota, borrow and lend[member, resource] with LARGEST
    where nothing bounds them; used[project].
    """

    projects: list[int]
    cohorts: list[int]
    resources: list[str]
    parent: Ints
    weight: Ints
    floor: Ints
    held: Ints
    totals: Ints
    quota: Ints
    borrow: Ints
    lend: Ints
    used: Ints
    starved: frozenset[int] = frozenset()

    @property
    def limited(self) -> Ints:
        """Return which resources some quota bounds, by their place."""
        return np.flatnonzero((self.quota[:-1] < LARGEST).any(axis=0))

    def amounts(self, kins: Sequence[Kin | None]) -> Ints:
        """Return what a task of each kin takes of each resource; axes [kin, resource]."""
        found = np.zeros((len(kins), len(self.resources)), np.int64)
        for row, kin in enumerate(kins):
            if kin is None:
                continue
            need = kin.request.resources
            found[row, :2] = (need.cpus_milli, need.memory_bytes)[: len(self.resources)]
            if need.device_class in self.resources[2:]:
                found[row, self.resources.index(need.device_class, 2)] = need.device_count
        return found

    def parts(self, amounts: Ints) -> Ints:
        """Return amounts[any, resource] as parts of the network; memory is counted in MiB."""
        unit = np.where(np.arange(len(self.resources)) == 1, MIB, 1)
        return parts_of(-(-amounts // unit), self.totals // unit)

    def above(self, amounts: Ints) -> Ints:
        """Return amounts[project, any] with their sums for the cohorts and the root."""
        more = np.zeros((len(self.parent) - len(self.projects), amounts.shape[1]), np.int64)
        found, projects = np.concatenate([amounts, more]), len(self.projects)
        np.add.at(found, self.parent[:projects], amounts)
        for member in range(projects, len(self.parent) - 1):
            found[self.parent[member]] += found[member]
        return found


def standing_of(
    world: World,
    waiting: set[int],
    policy: Policy,
    now: int,
    starved: frozenset[int] = frozenset(),
    is_whole: bool = False,
) -> Standing:
    """Return how everybody stands who waits, holds something or belongs to a cohort.

    Who is starved is below its floor until it holds something.

    Only who waits, and nothing of what is held, where use by weight alone decides; all the same
    if the whole is asked for.
    """
    cohorts = _parents_last(world)
    quotas = _quotas(world, cohorts)
    is_plain = not (quotas or cohorts or starved or is_whole or policy.share_by == "dominant")
    if is_plain and not world.projects.column("floor_ppm").any():
        projects, resources = sorted(waiting), []
        held = np.zeros((len(projects), 0), np.int64)
    else:
        resources = _resources(world, quotas)
        projects, held = _held(world, waiting, resources)
    members: list[Project | Cohort] = [
        *(world.projects.get(number) for number in projects),
        *(world.cohorts.get(number) for number in cohorts),
    ]
    floor = np.array([*(each.floor_ppm for each in members), 0], np.int64) * WHOLE // WHOLE_PPM
    is_starved = np.array([*(each.id in starved for each in members), False], np.int64)
    quota, borrow, lend = _bounds([quotas.get(m.id, Quotas()) for m in members], resources)
    return Standing(
        projects=projects,
        cohorts=cohorts,
        resources=resources,
        parent=_parents(world, projects, cohorts),
        weight=np.array([*(each.weight for each in members), 1], np.int64),
        floor=np.maximum(floor, is_starved),
        held=held,
        totals=_totals(world, resources),
        quota=quota,
        borrow=borrow,
        lend=lend,
        used=project_uses(world, projects, policy, now),
        starved=starved,
    )


def tree_of(standing: Standing, policy: Policy, is_whole: bool = False) -> Tree:
    """Return the tree as the kernel takes it.

    What nobody bounds or asks for is left out, so that it costs nothing, but for who asks for all.
    """
    root, projects = len(standing.parent) - 1, len(standing.projects)
    is_dominant = policy.share_by == "dominant"
    limited = np.arange(len(standing.resources)) if is_whole else standing.limited
    bounds = (each[:, limited] for each in (standing.quota, standing.borrow, standing.lend))
    quota, own, most = bounds_of(standing.parent, projects, *bounds)
    held = np.zeros_like(quota)
    held[:projects] = standing.held[:, limited]
    is_asked = is_whole or is_dominant or bool(standing.floor.any())
    part = standing.above(standing.parts(standing.held)[:, : None if is_asked else 0])
    children = np.argsort(standing.parent[:root], kind="stable").astype(np.int64)
    by_parent = standing.parent[:root][children]
    return Tree(
        parent=standing.parent,
        children=children,
        first=np.searchsorted(by_parent, np.arange(root + 1), "left"),
        end=np.searchsorted(by_parent, np.arange(root + 1), "right"),
        held=drawn_up(held, own, standing.parent, projects),
        quota=quota,
        own=own,
        most=most,
        part=part,
        floor=standing.floor,
        is_dominant=int(is_dominant),
    )


def takes_of(standing: Standing, tree: Tree, kins: Sequence[Kin | None], tasks: int) -> Takes:
    """Return what a task of each kin adds to what is held; of no kin, nothing.

    So much at most that so many tasks of it are no more than the kernel can add up.
    """
    amounts = standing.amounts(kins)
    parts = standing.parts(amounts)[:, : tree.part.shape[1]]
    return Takes(np.minimum(amounts[:, standing.limited], LARGEST // 2 // max(1, tasks)), parts)


def used_of(standing: Standing, tree: Tree, policy: Policy) -> Ints:
    """Return what each member counts as used; axes [member].

    Use that is absurdly large counts as the largest that the kernel can multiply by a weight.
    """
    root, most = len(standing.parent) - 1, most_used(standing)
    if tree.is_dominant:
        return np.array([dominant(part) for part in tree.part], np.int64)
    if policy.share_by == "none":
        return np.zeros(root + 1, np.int64)
    used = [min(most, each) for each in standing.used.tolist()]
    used += [0] * (root + 1 - len(used))
    for member, parent in enumerate(standing.parent[:-1].tolist()):
        used[parent] = min(most, used[parent] + used[member])
    return np.array(used, np.int64)


def most_used(standing: Standing) -> int:
    """Return the most use that the kernel can multiply by a weight, twice over."""
    return LARGEST // int(standing.weight.max()) // 2


def _parents_last(world: World) -> list[int]:
    """Return the cohorts, each before the one that it belongs to."""
    parent = {cohort.id: cohort.parent for cohort in world.cohorts.rows()}

    def depth(number: int) -> int:
        return 1 + depth(parent[number]) if number else 0

    return sorted(parent, key=lambda number: (-depth(number), number))


def _parents(world: World, projects: list[int], cohorts: list[int]) -> Ints:
    root = len(projects) + len(cohorts)
    place = {0: root} | {number: len(projects) + at for at, number in enumerate(cohorts)}
    of = [world.projects.value(number, "cohort") for number in projects]
    of += [world.cohorts.value(number, "parent") for number in cohorts]
    return np.array([*(place[number] for number in of), root], np.int64)


def _quotas(world: World, cohorts: list[int]) -> dict[int, Quotas]:
    """Return who is bounded, by number."""
    said = [("quota", number) for number in world.projects.slots]
    said += [("cohort_quota", number) for number in cohorts]
    found = ((number, world.documents.get((kind, number))) for kind, number in said)
    return {number: quotas for number, quotas in found if quotas is not None and quotas.limits}


def _resources(world: World, quotas: dict[int, Quotas]) -> list[str]:
    """Return what is shared: cores, memory, and each class of devices that is there or bounded."""
    kept = world.memo.get("classes")
    if kept is None or kept[0] != world.supply:
        known = [facts_of(world, pool) for pool in world.pools.slots]
        nodes = [node for facts in known if facts is not None for node in facts.nodes]
        kept = world.memo["classes"] = (world.supply, {node.device_class for node in nodes})
    bounded = {limit.resource for each in quotas.values() for limit in each.limits}
    return [CPUS, MEMORY, *sorted((kept[1] | bounded) - {CPUS, MEMORY, ""})]


def _held(world: World, waiting: set[int], resources: list[str]) -> tuple[list[int], Ints]:
    """Return who waits, holds something or is in a cohort; and what leases hold for each."""
    leases, jobs = world.leases, world.jobs
    slots = holding(world, np.flatnonzero(leases.used()))
    owners = leases.column("project")[slots]
    belongs = world.projects.numbers(world.projects.column("cohort") > 0)
    projects = sorted({*waiting, *owners.tolist(), *belongs})
    held = np.zeros((len(projects), len(resources)), np.int64)
    rows = np.searchsorted(projects, owners)
    np.add.at(held[:, 0], rows, leases.column("cpus_milli")[slots])
    np.add.at(held[:, 1], rows, leases.column("memory_bytes")[slots])
    place = {name: at for at, name in enumerate(resources[2:], start=2)}
    of_kin = [place.get(k.request.resources.device_class, 0) if k else 0 for k in world.kins.of]
    wanted = np.array(of_kin, np.int64)[jobs.column("kin")[leases.column("job_slot")[slots]]]
    rows, wanted, slots = rows[wanted > 0], wanted[wanted > 0], slots[wanted > 0]
    np.add.at(held, (rows, wanted), leases.column("device_count")[slots])
    return projects, held


def _totals(world: World, resources: list[str]) -> Ints:
    """Return what is lent in all of each resource by the pools that are there."""
    pools, nodes = world.pools, world.nodes
    is_there = pools.used() & np.isin(pools.column("state"), _LENDS)
    here = np.flatnonzero(nodes.used())
    pool = np.array([pools.slots[n] for n in nodes.column("pool")[here].tolist()], np.int64)
    here, pool = here[is_there[pool]], pool[is_there[pool]]
    columns: list[tuple[str, int]] = [("cpus_milli", 0), ("memory_bytes", 0)]
    columns += [("device_count", device_code(name)) for name in resources[2:]]
    found = []
    for name, wanted in columns[: len(resources)]:
        sizes = nodes.column(name)[here]
        if wanted:
            sizes = np.where(nodes.column("device_class")[here] == wanted, sizes, 0)
        sums = np.zeros(len(is_there), np.int64)
        np.add.at(sums, pool, sizes)
        found.append(np.minimum(sums, np.maximum(0, pools.column(f"lent_{name}"))).sum())
    return np.array(found, np.int64)


def _bounds(quotas: list[Quotas], resources: list[str]) -> tuple[Ints, Ints, Ints]:
    """Return quota, borrow and lend[member, resource] with the root; LARGEST: no bound."""
    found = np.full((3, len(quotas) + 1, len(resources)), LARGEST, np.int64)
    for member, each in enumerate(quotas):
        for limit in each.limits:
            told = (limit.quota, limit.borrow, limit.lend)
            at = resources.index(limit.resource)
            found[:, member, at] = [LARGEST if value is None else value for value in told]
    return found[0], found[1], found[2]
