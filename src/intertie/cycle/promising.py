"""Promise: whether a job will be done by its deadline, said once, when it is submitted.

Yes only if the forecast ends in time as the job would be served without any promise (so that a
deadline buys nobody a place), and if every promise that was given before is then still kept.
Whoever was promised is served before who was not, the first deadline first: that is what keeps it.
"""

from dataclasses import dataclass

import numpy as np

from intertie.cycle.forecasting import HIGH, LIKELY, look_ahead, outlook_of
from intertie.cycle.newcomers import Newcomer
from intertie.model.job import Contract, Job
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal, Relaxation, Value
from intertie.model.request import Request
from intertie.model.rows import changed
from intertie.model.units import MILLI, ceil_div
from intertie.placement.given import LARGEST
from intertie.world.kins import kin_of
from intertie.world.world import World

# So many forecasts look for the largest part of an array that would be done in time.
_HALVINGS = 5
_OPINIONS = {"likely": LIKELY, "long": HIGH}


@dataclass(frozen=True)
class _Asked:
    """A job that asks for a promise, and whom it asks: the network at an instant."""

    world: World
    policy: Policy
    now: int
    job: Job
    request: Request
    contract: Contract

    @property
    def left_ms(self) -> int:
        return self.request.deadline_at - self.now


def promise(
    world: World, job: Job, request: Request, contract: Contract, policy: Policy, now: int
) -> int | Refusal:
    """Return when the job is expected to be done, before its deadline; or why that is not so."""
    asked = _Asked(world, policy, now, job, request, contract)
    done_ms = _done_ms(asked, job.task_count)
    if done_ms > asked.left_ms:
        return _too_soon(asked, done_ms)
    broken = _breaks(asked, request.deadline_at)
    if not broken:
        return now + done_ms
    last_at = max(world.jobs.value(number, "deadline_at") for number in broken) + 1
    other = Relaxation("no_deadline")
    if last_at > request.deadline_at and not _breaks(asked, last_at):
        other = Relaxation("later_deadline", {"to_at": last_at})
    return Refusal("deadline_of_others", {"deadline_at": request.deadline_at}, other)


def _too_soon(asked: _Asked, done_ms: int) -> Refusal:
    """Return the refusal with the smaller of two changes: a later deadline, or fewer tasks."""
    deadline_at, count = asked.request.deadline_at, asked.job.task_count
    tasks = _tasks_in_time(asked)
    fewer = Relaxation("fewer_tasks", {"to": tasks})
    if done_ms == LARGEST:
        relaxation = fewer if tasks else Relaxation("no_deadline")
        return Refusal("deadline_out_of_sight", {"deadline_at": deadline_at}, relaxation)
    ends_at = asked.now + ceil_div(done_ms, MILLI) * MILLI
    later = Relaxation("later_deadline", {"to_at": ends_at})
    # Each by the part of what was asked for that it gives up.
    is_fewer = tasks > 0 and (count - tasks) * asked.left_ms < (done_ms - asked.left_ms) * count
    values: dict[str, Value] = {"finish_at": ends_at, "deadline_at": deadline_at}
    return Refusal("deadline_too_soon", values, fewer if is_fewer else later)


def _tasks_in_time(asked: _Asked) -> int:
    """Return about how many of the tasks would be done in time; 0 of a gang, which is whole."""
    low, high = 0, asked.job.task_count
    for _ in range(_HALVINGS):
        middle = (low + high) // 2
        if asked.job.is_gang or middle == low:
            break
        if _done_ms(asked, middle) <= asked.left_ms:
            low = middle
        else:
            high = middle
    return low


def _done_ms(asked: _Asked, tasks: int) -> int:
    """Return in how long so many tasks are done if they are served like everybody's."""
    newcomer = _newcomer(asked, tasks, 0)
    outlook = outlook_of(asked.world, asked.policy, asked.now, newcomer)
    if outlook is None:
        return LARGEST
    alone = outlook.orders.numbers == asked.job.id
    opinion = _OPINIONS[asked.policy.promise_by]
    return int(look_ahead(outlook, opinion, alone, is_whole=True).done[alone][0])


def _breaks(asked: _Asked, deadline_at: int) -> list[int]:
    """Return which jobs, promised before, would be late if this one were promised too."""
    newcomer = _newcomer(asked, asked.job.task_count, deadline_at)
    outlook = outlook_of(asked.world, asked.policy, asked.now, newcomer)
    assert outlook is not None, "it has been looked at before"
    promised, opinion = outlook.orders.is_promised, _OPINIONS[asked.policy.promise_by]
    done = look_ahead(outlook, opinion, promised, is_whole=True).done
    numbers = outlook.orders.numbers
    rows = np.flatnonzero(promised & (numbers != asked.job.id)).tolist()
    due = {row: asked.world.jobs.value(int(numbers[row]), "deadline_at") for row in rows}
    return [int(numbers[row]) for row, at in due.items() if asked.now + int(done[row]) > at]


def _newcomer(asked: _Asked, tasks: int, deadline_at: int) -> Newcomer:
    job = changed(asked.job, task_count=tasks)
    return Newcomer(job, kin_of(job, asked.request, asked.contract), tasks, deadline_at)
