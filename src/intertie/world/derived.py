"""What a World keeps beside its rows, so that a step asks for a sum and does not walk the rows.

`derive` counts everything from the rows; `enter_*`, `move_*` and `leave_*` follow one row that is
about to be written or dropped. Both must always agree: a law of the tests.
"""

from typing import Any

import numpy as np

from intertie.model.job import Task
from intertie.model.lease import Lease
from intertie.model.offer import Offer
from intertie.model.parties import Node, Pool
from intertie.model.states import (
    FINISHING,
    JobState,
    LeaseState,
    OfferState,
    Outcome,
    TaskState,
)
from intertie.world.kins import kin_of
from intertie.world.table import Ints
from intertie.world.world import LENT, ROOM, TASK_TALLIES, World

NAMING = frozenset({"project", "provider", "agent", "cohort"})
_OUTCOMES = {Outcome.FAILED: "failed", Outcome.CANCELLED: "cancelled"}
_SUPPLY = ("state", "is_draining", *(f"lent_{name}" for name in LENT))
_HELD = tuple(f"held_{name}" for name in ROOM)


def derive(world: World) -> None:
    """Count all that is derived, once, from the rows and documents that were loaded."""
    world.is_derived = True
    for (kind, number), document in world.documents.items():
        if kind in NAMING:
            name(world, kind, number, document)
        elif kind == "contract" and world.jobs.value(number, "state") < JobState.ENDED:
            enter_kin(world, number)
    for account in world.accounts.rows():
        world.owned[account.kind, account.owner] = account.id
    for offer in world.offers.rows():
        move_offer(world, offer)
    used = np.flatnonzero(world.tasks.used())
    enter_tasks(world, world.tasks.data[: len(world.tasks.columns), used])
    for lease in world.leases.rows():
        enter_lease(world, lease)


def name(world: World, kind: str, number: int, document: Any) -> None:
    """Note by which name a project, a provider or a provider's pool is found."""
    if kind == "agent":
        named = (kind, name_of_pool(world.pools.get(number).provider, document.pool))
        if document.public_key:
            world.names[named] = number
        elif world.names.get(named) == number:  # it was struck off: another may have its name
            del world.names[named]
    else:
        world.names[kind, document.name] = number


def name_of_pool(provider: int, pool: str) -> str:
    """Return the name by which one provider's pool is found among all."""
    return f"{provider}/{pool}"


def enter_kin(world: World, job: int) -> None:
    """Give a job its kin and the deadline it was promised, when its documents are there."""
    documents = world.documents
    kin = kin_of(world.jobs.get(job), documents["request", job], documents["contract", job])
    world.jobs.set_value(job, "kin", world.kins.enter(kin))
    world.jobs.set_value(job, "deadline_at", documents["contract", job].deadline_at)


def leave_kin(world: World, job: int) -> None:
    """Follow a job that has ended: nothing is decided by its kin any more."""
    kin = world.jobs.value(job, "kin")
    if kin:
        world.kins.leave(kin)
        world.jobs.set_value(job, "kin", 0)


def move_offer(world: World, offer: Offer) -> None:
    """Follow the listing of an offer: a pool's latest listed one takes new orders."""
    world.supply += 1
    listed = world.pools.value(offer.pool, "offer")
    if offer.state == OfferState.LISTED:
        world.pools.set_value(offer.pool, "offer", max(listed, offer.id))
    elif listed == offer.id:
        world.pools.set_value(offer.pool, "offer", 0)


def move_pool(world: World, pool: Pool) -> None:
    """Follow what a pool has to offer; that it was heard again is nothing new."""
    before = world.pools.find(pool.id)
    if before is None or any(getattr(before, n) != getattr(pool, n) for n in _SUPPLY):
        world.supply += 1


def move_node(world: World, node: Node) -> None:
    """Follow a node that is about to be written: how long it makes tasks wait is supply too."""
    if world.nodes.find(node.id) != node:
        world.supply += 1


def enter_tasks(world: World, block: Ints) -> None:
    """Count many new tasks; axes [column, task]."""
    axis, jobs = world.tasks.axis, world.jobs
    order = np.lexsort((block[axis["id"]], block[axis["job"]]))
    number, state, outcome = (block[axis[name], order] for name in ("id", "state", "outcome"))
    slots = np.array([jobs.slots[n] for n in block[axis["job"], order].tolist()], np.int64)
    for value, name in enumerate(TASK_TALLIES):
        np.add.at(jobs.column(name), slots[state == value], 1)
    for value, name in _OUTCOMES.items():
        np.add.at(jobs.column(name), slots[outcome == value], 1)
    # In order of job and number, so that the first of each job is its least.
    for name, mask in (("first_task", state >= 0), ("next_task", state == TaskState.QUEUED)):
        which, first = np.unique(slots[mask], return_index=True)
        jobs.column(name)[which] = number[mask][first]


def move_task(world: World, task: Task) -> None:
    """Follow a task that is about to be written."""
    jobs, tasks = world.jobs.data, world.tasks
    axis, owner, before = world.jobs.axis, world.jobs.slots[task.job], tasks.slots.get(task.id)
    was, was_outcome = -1, 0
    if before is not None:
        was = tasks.data.item(tasks.axis["state"], before)
        was_outcome = tasks.data.item(tasks.axis["outcome"], before)
        jobs[axis[TASK_TALLIES[was]], owner] -= 1
    jobs[axis[TASK_TALLIES[task.state]], owner] += 1
    if was_outcome != task.outcome:
        _tally_outcome(world, owner, was_outcome, -1)
        _tally_outcome(world, owner, task.outcome, 1)
    if before is None:
        first = axis["first_task"]
        jobs[first, owner] = min(jobs.item(first, owner) or task.id, task.id)
    following = axis["next_task"]
    if task.state == TaskState.QUEUED:
        jobs[following, owner] = min(jobs.item(following, owner) or task.id, task.id)
    elif was == TaskState.QUEUED and task.state == TaskState.PLACED:
        # The lowest of a job's waiting tasks are placed first: none waits below this one.
        jobs[following, owner] = task.id + 1


def leave_task(world: World, number: int) -> None:
    """Follow a task that is about to be dropped."""
    task = world.tasks.get(number)
    owner = world.jobs.slots[task.job]
    first = world.jobs.axis["first_task"]
    assert task.id == world.jobs.data.item(first, owner), "tasks leave in order"
    world.jobs.data[first, owner] += 1
    world.jobs.data[world.jobs.axis[TASK_TALLIES[task.state]], owner] -= 1
    _tally_outcome(world, owner, task.outcome, -1)


def enter_lease(world: World, lease: Lease) -> None:
    """Count a lease that has been written first; a row keeps its slot while it lives."""
    leases = world.leases
    leases.set_value(lease.id, "job_slot", world.jobs.slots[lease.job])
    leases.set_value(lease.id, "pool_slot", world.pools.slots[lease.pool])
    _count_lease(world, lease, lease.state, lease.observed, 1)


def move_lease(world: World, lease: Lease) -> None:
    """Follow a lease, known already, that is about to be written."""
    state, observed = world.leases.values(lease.id, ("state", "observed"))
    for name in ("started_at", "expected_start_at"):
        if world.leases.value(lease.id, name) != getattr(lease, name):
            world.room += 1
    if (state, observed) != (lease.state, lease.observed):
        _count_lease(world, lease, state, observed, -1)
        _count_lease(world, lease, lease.state, lease.observed, 1)


def leave_lease(world: World, number: int) -> None:
    """Follow a lease that is about to be dropped."""
    lease = world.leases.get(number)
    _count_lease(world, lease, lease.state, lease.observed, -1)


def _count_lease(world: World, lease: Lease, state: int, observed: int, sign: int) -> None:
    """Add what a lease, so far along, holds of its job's, its node's and its pool's sums."""
    if state == LeaseState.SETTLED:
        return
    world.room += 1
    jobs, job = world.jobs, world.jobs.slots[lease.job]
    jobs.data[jobs.axis["unsettled"], job] += sign
    if state == LeaseState.ENDED:
        return
    jobs.data[jobs.axis["alive"], job] += sign
    is_gone = observed >= FINISHING
    need = [
        0 if is_gone and name in LENT else sign * getattr(lease, name)
        for name in ROOM  # its files are there until they are up
    ]
    nodes, node = world.nodes, world.nodes.slots.get(lease.node)
    if node is not None:  # its agent may have come back without this node.
        held = nodes.axis[_HELD[0]]
        nodes.data[held : held + len(need), node] += need
    pools, pool = world.pools, world.pools.slots[lease.pool]
    held = pools.axis[_HELD[0]]
    pools.data[held : held + len(need), pool] += need
    if state != LeaseState.STOPPING and not is_gone:
        for name in LENT:
            pools.data[pools.axis[f"staying_{name}"], pool] += sign * getattr(lease, name)


def _tally_outcome(world: World, owner: int, outcome: int, sign: int) -> None:
    name = _OUTCOMES.get(Outcome(outcome))
    if name is not None:
        world.jobs.data[world.jobs.axis[name], owner] += sign
