"""What quotas promise, from the design and not from the rooms that keep them.

For each resource and cohort the members hold together no more than their quotas and the cohort's
own; and each no more than its quota and what it may borrow, and than what the others lend.
"""

from collections import Counter
from collections.abc import Sequence

from intertie.model.job import Job
from intertie.model.lease import Lease
from intertie.model.shares import Limit, Quotas
from intertie.model.states import LeaseState
from intertie.world.world import World

ALIVE = (LeaseState.PLACED, LeaseState.RUNNING, LeaseState.STOPPING)
FINISHING = 2


def keep_their_quotas(world: World, new: list[Lease]) -> None:
    """Assert that leases about to be made are within what their projects may hold.

    A quota that was lowered takes nothing back, so only who is given something now is judged.
    """
    held = _held(world, new)
    for lease in new:
        for limit in _limits(world, lease.project).values():
            if _takes(lease, world, limit.resource):
                most = _most(world, lease.project, limit, held)
                assert held[lease.project, limit.resource] <= most, (lease, limit)


def may_hold_no_more(world: World, job: Job) -> bool:
    """Return whether one task more (or the whole gang) would be over the project's quota."""
    held, need = _held(world), world.documents["request", job.id].resources
    tasks = world.jobs.value(job.id, "queued") if job.is_gang else 1
    for limit in _limits(world, job.project).values():
        asks = {"cpus": need.cpus_milli, "memory": need.memory_bytes}.get(
            limit.resource, need.device_count if need.device_class == limit.resource else 0
        )
        if asks and held[job.project, limit.resource] + asks * tasks > _most(
            world, job.project, limit, held
        ):
            return True
    return False


def _most(world: World, project: int, limit: Limit, held: Counter[tuple[int, str]]) -> int:
    """Return all that a project may hold, when the others hold what they do; cohorts of one level.

    That is its quota, and of what the others lend what none of them holds.
    """
    cohort = world.projects.get(project).cohort
    if not cohort:
        return limit.quota
    name, spare = limit.resource, 0
    for other in world.projects.where(cohort=cohort):
        told = _limits(world, other.id).get(name)
        if other.id == project or told is None:
            continue
        keeps = told.quota - min(told.quota, told.quota if told.lend is None else told.lend)
        spare += told.quota - max(keeps, held[other.id, name])
    own = limit.quota - min(limit.quota, limit.quota if limit.lend is None else limit.lend)
    return max(own, limit.quota + (spare if limit.borrow is None else min(spare, limit.borrow)))


def _limits(world: World, project: int) -> dict[str, Limit]:
    quotas: Quotas = world.documents.get(("quota", project), Quotas())
    return {limit.resource: limit for limit in quotas.limits}


def _held(world: World, new: Sequence[Lease] = ()) -> Counter[tuple[int, str]]:
    held: Counter[tuple[int, str]] = Counter()
    for lease in (*world.leases.rows(), *new):
        if lease.state in ALIVE and lease.observed < FINISHING:
            for resource in ("cpus", "memory", _class(lease, world)):
                held[lease.project, resource] += _takes(lease, world, resource)
    return held


def _takes(lease: Lease, world: World, resource: str) -> int:
    known = {"cpus": lease.cpus_milli, "memory": lease.memory_bytes}
    is_its_class = resource == _class(lease, world)
    return known.get(resource, lease.device_count if is_its_class else 0)


def _class(lease: Lease, world: World) -> str:
    found: str = world.documents["request", lease.job].resources.device_class
    return found
