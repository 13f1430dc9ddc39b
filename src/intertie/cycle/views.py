"""Small reads of a World that several steps share."""

from collections.abc import Iterator

import numpy as np

from intertie.model.job import Task
from intertie.model.ledger import AccountKind
from intertie.model.offer import Offer
from intertie.model.parties import Pool, PoolFacts
from intertie.model.request import Request
from intertie.model.sizing import History
from intertie.model.states import TaskState
from intertie.world.world import TASK_TALLIES, World


def name_of(world: World, kind: str, number: int) -> str:
    """Return what people call a project or a provider."""
    return str(world.documents[kind, number].name)


def place_of(world: World, pool: Pool) -> str:
    """Return a pool as people call it: ``provider/pool``."""
    provider = name_of(world, "provider", pool.provider)
    return f"{provider}/{world.documents['agent', pool.id].pool}"


def facts_of(world: World, pool: int) -> PoolFacts | None:
    """Return what the pool's agent said of it; None before its first session."""
    found: PoolFacts | None = world.documents.get(("pool", pool))
    return found


def request_of(world: World, job: int) -> Request:
    """Return the request of a job."""
    found: Request = world.documents["request", job]
    return found


def tasks_of(world: World, job: int) -> range:
    """Return the numbers of a job's tasks that are in the World.

    They were given in one go, and leave in that order.
    """
    first = world.jobs.value(job, "first_task")
    return range(first, first + sum(world.jobs.values(job, TASK_TALLIES)))


def tasks_in(world: World, job: int, *states: TaskState) -> list[int]:
    """Return the numbers of a job's tasks that are in one of these states, in order."""
    numbers, tasks = tasks_of(world, job), world.tasks
    slots = [tasks.slots[number] for number in numbers]
    mask = np.isin(tasks.column("state")[slots], states)
    found: list[int] = np.array(numbers, np.int64)[mask].tolist()
    return found


def waiting_tasks(world: World, job: int) -> Iterator[Task]:
    """Return a job's tasks that wait, the lowest first."""
    tasks, number = world.tasks, world.jobs.value(job, "next_task")
    while number in tasks and tasks.value(number, "job") == job:
        if tasks.value(number, "state") == TaskState.QUEUED:
            yield tasks.get(number)
        number += 1


def history_of(world: World, project: int) -> History:
    """Return the run times that a project's jobs had."""
    found: History = world.documents.get(("history", project), History())
    return found


def account_of(world: World, kind: AccountKind, owner: int) -> int:
    """Return the number of an owner's account of one kind."""
    return world.owned[kind, owner]


def wallet_micro(world: World, project: int) -> int:
    """Return what a project can still spend."""
    return world.balances.get(account_of(world, AccountKind.WALLET, project), 0)


def listed_offer(world: World, pool: int) -> Offer | None:
    """Return the pool's offer that takes new orders."""
    number = world.pools.value(pool, "offer")
    return world.offers.get(number) if number else None


def free_cpus_milli(world: World, pool: Pool) -> int:
    """Return what the pool lends of its cores and no lease holds; never below zero."""
    return max(0, pool.lent_cpus_milli - world.pools.value(pool.id, "held_cpus_milli"))
