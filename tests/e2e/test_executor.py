"""Python functions on a real network: door, decider, agent and sandbox; and how they may fail."""

import doctest
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, as_completed
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import intertie.client.executor
from intertie.agent import owner
from intertie.client import CallFailed, NetworkExecutor, Refused, Unpicklable
from tests.support.live import PATIENCE_S, River, wait_until

REPOSITORY = Path(__file__).parents[2]
LIGHT: dict[str, Any] = {"cpus": 0.5, "memory": "64MiB", "time_limit": "1m", "progress": False}


@pytest.fixture(autouse=True)
def by_value() -> Iterator[None]:
    """Functions of this file travel as those of a script would."""
    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    yield
    cloudpickle.unregister_pickle_by_value(here)


@pytest.fixture(scope="module")
def pool(river: River) -> Iterator[NetworkExecutor]:
    with NetworkExecutor(river.client, **LIGHT) as pool:
        yield pool


def square(n: int) -> int:
    return n * n


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_a_map_gives_results_in_order_from_one_array_job(
    river: River, pool: NetworkExecutor
) -> None:
    before = {job.id for job in river.client.jobs()}
    assert list(pool.map(square, range(5), timeout=PATIENCE_S)) == [0, 1, 4, 9, 16]
    [job] = [job for job in river.client.jobs() if job.id not in before]
    assert job.task_count == 5
    assert river.client.wait(job.id).outcome == "done"
    assert river.client.receipt(job.id).sum_micro == 0


def test_a_hundred_items_in_chunks_are_a_few_tasks(pool: NetworkExecutor) -> None:
    found = list(pool.map(square, range(100), chunksize=25, timeout=PATIENCE_S))
    assert found == [n * n for n in range(100)]


def test_futures_come_as_they_are_completed(pool: NetworkExecutor) -> None:
    futures = [pool.submit(square, n) for n in range(3)]
    assert {each.result() for each in as_completed(futures, PATIENCE_S)} == {0, 1, 4}


def test_what_a_call_prints_is_on_its_future(pool: NetworkExecutor) -> None:
    future = pool.submit(print, "hello from there")
    assert future.result(PATIENCE_S) is None
    assert future.task is not None
    assert future.task.log() == "hello from there\n"
    assert "".join(future.task.follow()) == "hello from there\n"


def test_an_exception_is_raised_here_with_its_remote_traceback(pool: NetworkExecutor) -> None:
    future = pool.submit(divmod, 1, 0)
    with pytest.raises(ZeroDivisionError) as raised:
        future.result(PATIENCE_S)
    assert "ZeroDivisionError" in str(raised.value.__cause__)
    assert future.task is not None
    assert f"in task 0 of {future.task.job}" in raised.value.__notes__[0]


def test_a_call_that_kills_its_process_says_how(pool: NetworkExecutor) -> None:
    with pytest.raises(CallFailed, match="exited with code 3") as left:
        pool.submit(os._exit, 3).result(PATIENCE_S)
    assert (left.value.outcome, left.value.cause, left.value.exit_code) == ("failed", "exited", 3)

    def end_itself() -> None:
        os.write(1, b"now\n")
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(CallFailed) as killed:
        pool.submit(end_itself).result(PATIENCE_S)
    assert killed.value.log == "now"
    assert "11" in str(killed.value)


def test_a_call_that_takes_too_long_says_so(river: River) -> None:
    short = NetworkExecutor(river.client, **(LIGHT | {"time_limit": "1s"}))
    with short, pytest.raises(CallFailed, match="timed out") as late:
        short.submit(sleep, 60).result(PATIENCE_S)
    assert late.value.cause == "timed_out"


def test_a_result_that_cannot_be_pickled_is_named(pool: NetworkExecutor) -> None:
    def numbers() -> Iterator[int]:
        return (n for n in range(3))

    with pytest.raises(Unpicklable, match=r"numbers \(generator\) cannot be pickled"):
        pool.submit(numbers).result(PATIENCE_S)


def test_large_arguments_and_results_come_through_whole(pool: NetworkExecutor) -> None:
    content = os.urandom(8 * 1024 * 1024)
    assert pool.submit(bytes.__add__, content, content).result(PATIENCE_S) == content + content


def test_modules_of_a_working_folder_can_be_imported(river: River, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text("def thrice(n):\n    return 3 * n\n")

    def use(n: int) -> int:
        import ours  # type: ignore[import-not-found]

        return int(ours.thrice(n))

    with NetworkExecutor(river.client, workdir=tmp_path, **LIGHT) as pool:
        assert list(pool.map(use, [1, 2], timeout=PATIENCE_S)) == [3, 6]


def test_a_running_call_is_cancelled_and_its_job_stops(river: River, pool: NetworkExecutor) -> None:
    future = pool.submit(sleep, 60)
    wait_until(future.running, river.network)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)
    assert future.task is not None
    assert river.client.wait(future.task.job).outcome == "cancelled"


def test_an_evicted_call_is_made_again(river: River, pool: NetworkExecutor) -> None:
    folder = river.network.agent_folder("workstation")
    future = pool.submit(sleep, 3)
    wait_until(future.running, river.network)
    owner.reclaim(folder, 0)
    try:
        wait_until(lambda: not future.running(), river.network)
    finally:
        owner.release(folder)
    assert future.result(PATIENCE_S) == 3
    assert future.task is not None
    assert future.task.view().resumes == 1


def test_killing_the_agent_and_the_door_loses_no_call(river: River, pool: NetworkExecutor) -> None:
    future = pool.submit(sleep, 4)
    wait_until(future.running, river.network)
    river.restart_agent()
    door = next(each for each in river.network.processes() if each.name == "door")
    door.kill()
    door.start()
    assert future.result(PATIENCE_S) == 4


def test_what_no_pool_can_take_is_refused_with_the_reason(river: River) -> None:
    large = NetworkExecutor(river.client, **(LIGHT | {"cpus": 4000}))
    with large, pytest.raises(Refused) as no:
        large.submit(square, 2).result(PATIENCE_S)
    assert no.value.refusal is not None
    assert no.value.refusal.code == "not_enough_cpus"


def test_a_client_that_crashes_leaves_jobs_that_end_by_themselves(river: River) -> None:
    script = (
        "import os, time\n"
        "from intertie.client import NetworkExecutor\n"
        "pool = NetworkExecutor(cpus=0.5, memory='64MiB', time_limit='1m', progress=False)\n"
        "future = pool.submit(time.sleep, 1)\n"
        "while future.task is None: time.sleep(0.01)\n"
        "print(future.task.job, flush=True)\n"
        "os._exit(9)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environment_of(river),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.returncode == 9, told.stderr
    assert river.client.wait(told.stdout.strip()).outcome == "done"


def test_the_examples_in_documents_and_docstrings_run_as_written(
    river: River, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment_of(river).items():
        monkeypatch.setenv(name, value)
    result = doctest.testmod(intertie.client.executor, verbose=False)
    assert result.attempted >= 3
    assert result.failed == 0
    page = (REPOSITORY / "docs" / "sdk.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "sdk.md", "exec"), {"__name__": "__main__"})


def environment_of(river: River) -> dict[str, str]:
    return {
        "INTERTIE_URL": river.network.url,
        "INTERTIE_TOKEN": river.network.tokens()["alpha"],
    }
