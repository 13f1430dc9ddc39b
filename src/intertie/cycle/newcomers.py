"""A job that nobody has admitted yet, put into the queue as if it were: for what-ifs."""

from dataclasses import dataclass

import numpy as np

from intertie.cycle.orders import Orders, Supply, columns_of, queue_of, wishes_of
from intertie.cycle.prices import Prices, prices_for
from intertie.cycle.standing import standing_of
from intertie.model.job import Job
from intertie.model.policy import Policy
from intertie.model.units import MILLI
from intertie.placement.given import LARGEST, NO_TRADE, Jobs
from intertie.world.kins import Kin
from intertie.world.table import Ints
from intertie.world.world import World


@dataclass(frozen=True)
class Newcomer:
    """A job with its kin, of so many tasks; with a deadline as if that were promised, 0 without."""

    job: Job
    kin: Kin
    tasks: int
    deadline_at: int = 0


def place_in(world: World, orders: Orders | None, newcomer: Newcomer) -> int:
    """Return the row that a newcomer has: last, or by its deadline among those promised."""
    if orders is None:
        return 0
    if not newcomer.deadline_at:
        return len(orders.numbers)
    promised = orders.numbers[orders.is_promised].tolist()
    return sum(world.jobs.value(n, "deadline_at") <= newcomer.deadline_at for n in promised)


def with_newcomer(
    world: World,
    supply: Supply,
    orders: Orders | None,
    newcomer: Newcomer,
    at: int,
    policy: Policy,
    now: int,
) -> Orders:
    """Return the orders with one job more, in its row."""
    kin, job = newcomer.kin, newcomer.job
    kins, prices = [kin], prices_for(world, kin, supply.pools, policy)
    jobs, numbers = Jobs(*np.zeros((4, 0), np.int64)), np.zeros(0, np.int64)
    is_promised, wishes = np.zeros(0, np.bool_), np.zeros((3, 0), np.int64)
    starved: frozenset[int] = frozenset()
    if orders is not None:
        kins, jobs, numbers = [*orders.kins, kin], orders.jobs, orders.numbers
        is_promised, starved = orders.is_promised, orders.standing.starved
        slots = [world.jobs.slots[number] for number in numbers.tolist()]
        wishes = wishes_of(world, np.array(slots, np.int64))
        pairs = zip(vars(orders.prices).values(), vars(prices).values(), strict=True)
        prices = Prices(*(np.concatenate(pair) for pair in pairs))
    standing = standing_of(world, {each.project for each in kins}, policy, now, starved)
    columns = columns_of(world, kins, standing.projects, supply, prices)
    row = (
        len(kins) - 1,
        newcomer.tasks,
        job.budget_micro or LARGEST,
        length_ms(columns.rank, prices),
    )
    jobs = Jobs(*(np.insert(column, at, value) for column, value in zip(jobs, row, strict=True)))
    wish = np.array([job.submitted_at, newcomer.deadline_at, job.priority], np.int64)
    return Orders(
        numbers=np.insert(numbers, at, job.id),
        jobs=jobs,
        is_promised=np.insert(is_promised, at, newcomer.deadline_at > 0),
        queue=queue_of(np.insert(wishes, at, wish, axis=1), jobs, columns, policy, now),
        kins=kins,
        columns=columns,
        prices=prices,
        standing=standing,
    )


def length_ms(rank: Ints, prices: Prices) -> int:
    """Return how long a task of the last kin is expected to take where it would rather be."""
    best = np.where(rank[-1] == NO_TRADE, LARGEST, rank[-1]).argmin()
    return int(prices.task_s[-1, best]) * MILLI
