"""Why a quota holds a job back, and the smallest change that would help."""

import numpy as np

from intertie.cycle.running import ends_s, holding
from intertie.cycle.standing import Standing, standing_of, tree_of
from intertie.model.job import Job
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal, Relaxation, Value
from intertie.model.shares import CPUS, MEMORY
from intertie.model.units import MILLI
from intertie.placement.given import Tree
from intertie.placement.shares import quota_left
from intertie.world.world import World


def quota_refusal(world: World, job: Job, policy: Policy, now: int) -> Refusal | None:
    """Return why a job's next task, or its whole gang, would be over its project's quota; or None.

    By the kernel's own rule. It waits for its project's own leases where they give enough back, for
    those who hold what its cohort has lent, and else for a larger quota.
    """
    standing = standing_of(world, {job.project}, policy, now)
    if not len(standing.limited):
        return None
    kin = world.kins.of[world.jobs.value(job.id, "kin")]
    assert kin is not None, "a job that waits has a kin"
    tasks = world.jobs.value(job.id, "queued") if job.is_gang else 1
    tree, project = tree_of(standing, policy), standing.projects.index(job.project)
    amounts = standing.amounts([kin])[0, standing.limited]
    for at, amount in enumerate(amounts.tolist()):
        needs, left = amount * tasks, int(quota_left(tree, project, at))
        if amount and needs > left:
            resource = int(standing.limited[at])
            relaxation = _relaxation(world, standing, tree, project, at, needs - left, now)
            return _over(standing.resources[resource], needs, max(0, left), relaxation)
    return None


def _over(resource: str, needs: int, left: int, relaxation: Relaxation) -> Refusal:
    if resource == CPUS:
        return Refusal("over_quota_cpus", {"needs_milli": needs, "left_milli": left}, relaxation)
    if resource == MEMORY:
        return Refusal("over_quota_memory", {"needs_bytes": needs, "left_bytes": left}, relaxation)
    values: dict[str, Value] = {"needs": needs, "left": left, "device_class": resource}
    return Refusal("over_quota_devices", values, relaxation)


def _relaxation(
    world: World,
    standing: Standing,
    tree: Tree,
    project: int,
    at: int,
    missing: int,
    now: int,
) -> Relaxation:
    """Return what would give what is missing: what ends by itself, else a larger quota."""
    resource = int(standing.limited[at])
    name, held = standing.resources[resource], int(standing.held[project, resource])
    if missing <= held:
        about_s = _frees_in_s(world, standing.projects[project], name, missing, now)
        return Relaxation("wait", {"about_s": about_s})
    empty = tree._replace(held=np.zeros_like(tree.held))
    has, could = (int(quota_left(each, project, at)) for each in (tree, empty))
    if missing <= could - has:
        return _named("cohort_lends", name, "lent", missing - held)
    quota = int(tree.quota[project, at])
    return _named("raise_quota", name, "to", quota + missing - (could - has))


def _named(code: str, resource: str, value: str, amount: int) -> Relaxation:
    if resource == CPUS:
        return Relaxation(f"{code}_cpus", {f"{value}_milli": amount})
    if resource == MEMORY:
        return Relaxation(f"{code}_memory", {f"{value}_bytes": amount})
    return Relaxation(f"{code}_devices", {value: amount, "device_class": resource})


def _frees_in_s(world: World, project: int, resource: str, missing: int, now: int) -> int:
    """Return in how long a project's own leases should have given back what is missing."""
    leases, jobs = world.leases, world.jobs
    own = [leases.slots[number] for number in leases.numbers_where(project=project)]
    slots = holding(world, np.array(own, np.int64))
    column = {CPUS: "cpus_milli", MEMORY: "memory_bytes"}.get(resource, "device_count")
    kins = [world.kins.of[kin] for kin in jobs.column("kin")[leases.column("job_slot")[slots]]]
    counts = [
        column != "device_count" or (k is not None and k.request.resources.device_class == resource)
        for k in kins
    ]
    slots = slots[np.array(counts, np.bool_)]
    ends = ends_s(world, slots)
    order = np.argsort(ends, kind="stable")
    given = np.cumsum(leases.column(column)[slots][order])
    enough = int(np.searchsorted(given, missing))
    return max(1, int(ends[order[enough]]) - now // MILLI)
