"""What a network with very many tasks does: large arrays enter whole and leave in portions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from intertie.cycle.releasing import TASKS_MAX
from intertie.model.job import Job, Task
from intertie.model.policy import Policy
from intertie.model.states import JobState, Outcome, TaskState
from intertie.world.apply import apply
from intertie.world.changes import Changes
from intertie.world.table import Table
from intertie.world.world import World
from tests.builders import SLOW, ANetwork, job_of
from tests.property.derived import is_counted_right

ROOT = Path(__file__).parents[2]
LARGE = TASKS_MAX * 2 + 500


def a_large_array(**known: object) -> tuple[ANetwork, int, int]:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab")
    return network, project, network.job(project, task_count=LARGE, environment=SLOW, **known)


def test_a_large_array_enters_as_one_block_and_starts_as_any_other() -> None:
    network, _, job = a_large_array()
    [changes] = [each for each in network.changes if each.blocks]
    [(noun, block)] = changes.blocks
    assert (noun, block.shape[1]) == ("Task", LARGE)
    running = {task.index for task in network.world.tasks.where(job=job, state=TaskState.PLACED)}
    assert running == {0, 1}
    assert network.world.jobs.value(job, "queued") == LARGE - 2


def test_a_large_array_that_is_cancelled_ends_within_rounds_that_are_not_long() -> None:
    network, project, job = a_large_array()
    before = len(network.changes)
    network.cancel(project, job)
    network.pass_s(10)
    assert job_of(network, job).state == JobState.SETTLED
    assert job_of(network, job).outcome == Outcome.CANCELLED
    assert not len(network.world.tasks)
    for changes in network.changes[before:]:
        assert sum(noun == "Task" for noun, _ in changes.rows) <= TASKS_MAX + 2
        assert len(changes.retired) <= TASKS_MAX + 4
    is_counted_right(network.world)


def test_a_large_array_that_waited_for_another_job_is_released_in_portions() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab")
    first = network.job(project)
    job = network.job(project, task_count=LARGE, after=(first,), environment=SLOW)
    assert job_of(network, job).state == JobState.HELD
    network.pass_s(20)
    assert network.world.jobs.values(job, ("held", "placed", "running"))[0] == 0
    assert job_of(network, job).state == JobState.RUNNING
    is_counted_right(network.world)


def test_of_very_many_settled_jobs_the_latest_stay() -> None:
    network = ANetwork(Policy(retain_max=2))
    project = network.project("p")
    network.pool("lab")
    jobs = [network.job(project, expected_s=1) for _ in range(5)]
    waiting = network.job(project, after=(jobs[0], jobs[4]), environment=SLOW)
    network.pass_s(60)
    known = [job for job in jobs if job in network.world.jobs]
    assert known == jobs[-2:]
    assert waiting in network.world.jobs


def test_a_block_is_loaded_first_and_its_rows_may_change_in_the_same_round() -> None:
    world, changes = World(), Changes()
    job = Job(*([1] * 2 + [JobState.QUEUED] + [0] * 16))
    tasks = np.array([[7, 1, 0, TaskState.QUEUED, 0, 0, 0, 0, 0, 5, 0]], np.int64).T
    changes.blocks.append(("Task", np.repeat(tasks, 3, axis=1)))
    changes.blocks[0][1][0] = [7, 8, 9]
    changes.put(job, Task(8, 1, 0, TaskState.ENDED, Outcome.CANCELLED, 0, 0, 0, 0, 5, 6))
    assert changes.digest() != Changes(rows=changes.rows).digest()
    apply(world, changes)
    assert [task.state for task in world.tasks.rows()] == [1, TaskState.ENDED, 1]
    assert world.jobs.values(1, ("queued", "ended", "cancelled")) == [2, 1, 1]
    assert world.next["Task"] == 10


def test_a_block_never_writes_over_a_row_that_is_there() -> None:
    table = Table(Task)
    block = np.ones((11, 1), np.int64)
    table.load(block)
    with pytest.raises(AssertionError):
        table.load(block)


@pytest.mark.parametrize("name", ["held_cpus_milli", "staying_memory_bytes", "offer"])
def test_a_sum_that_is_wrong_is_seen_by_the_law_that_counts_again(name: str) -> None:
    network = ANetwork()
    pool = network.pool("lab")
    is_counted_right(network.world)
    network.world.pools.set_value(pool, name, 99)
    with pytest.raises(AssertionError):
        is_counted_right(network.world)


FIRST_ROUNDS = """
from intertie.control.kernels import prepare_kernels, warm_kernels
prepare_kernels()
warm_kernels()
from intertie.placement import fill
kernels = [each for each in vars(fill).values() if hasattr(each, "signatures")]
compiled = [len(each.signatures) for each in kernels]
from tests.builders import ANetwork
network = ANetwork()
network.pool("workstation")
project = network.project("lab")
for known in ({}, {"task_count": 2, "is_gang": 1}):
    network.job(project, **known)
    network.pass_s(2)
assert any(compiled) and len(network.world.leases) + len(network.world.jobs) > 1
assert [len(each.signatures) for each in kernels] == compiled
"""


def test_a_warmed_decider_compiles_nothing_in_its_first_rounds() -> None:
    subprocess.run([sys.executable, "-c", FIRST_ROUNDS], check=True, cwd=ROOT)
