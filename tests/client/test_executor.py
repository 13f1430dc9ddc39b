"""The executor's own part: what goes together, what waits, what is cancelled, what is heard."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, as_completed, wait
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from intertie.client import (
    CallFailed,
    NetworkExecutor,
    NotFound,
    Progress,
    PythonMismatch,
    Refused,
    SpecError,
    Unpicklable,
    executor,
)
from intertie.client.errors import problem_of
from tests.client.instant import InstantNetwork, refusal

PATIENCE_S = 30.0


def pool_on(network: InstantNetwork, **known: Any) -> NetworkExecutor:
    return NetworkExecutor(network, **({"progress": False} | known))


def wait_until(is_so: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.005)


def test_results_come_in_order_whatever_their_batch() -> None:
    with pool_on(InstantNetwork()) as pool:
        assert list(pool.map(pow, range(4), [2] * 4)) == [0, 1, 4, 9]
        assert pool.submit(pow, 2, exp=5).result(PATIENCE_S) == 32


def test_what_is_submitted_within_a_moment_is_one_array_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executor, "QUIET_S", 1.0)
    network = InstantNetwork()
    with pool_on(network) as pool:
        futures = [pool.submit(pow, 2, n) for n in range(30)]
        assert [each.result(PATIENCE_S) for each in futures] == [2**n for n in range(30)]
    assert [job.count for job in network.jobs_sent] == [30]


def test_one_map_goes_as_few_full_array_jobs() -> None:
    network = InstantNetwork()
    with pool_on(network) as pool:
        assert sum(pool.map(pow, range(1_200), [1] * 1_200)) == sum(range(1_200))
    assert [job.count for job in network.jobs_sent] == [500, 500, 200]


def test_a_chunk_is_one_task_and_its_results_come_singly() -> None:
    network = InstantNetwork()
    with pool_on(network) as pool:
        assert list(pool.map(pow, range(7), [2] * 7, chunksize=3)) == [n * n for n in range(7)]
    assert [job.count for job in network.jobs_sent] == [3]


def test_large_arguments_share_a_folder_with_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "COPIED_BYTES_MAX", 3_000)
    network = InstantNetwork()
    with pool_on(network) as pool:
        assert list(pool.map(len, [b"x" * 200] * 10)) == [200] * 10
    assert sum(job.count for job in network.jobs_sent) == 10
    assert max(job.count for job in network.jobs_sent) == 3


def test_a_job_asks_for_what_the_executor_was_told() -> None:
    network = InstantNetwork()
    known = {"cpus": 2, "memory": "1GB", "time_limit": "10m", "budget": "0.25", "providers": ["a"]}
    with pool_on(network, name="grid", **known) as pool:
        list(pool.map(pow, range(4), [1] * 4))
    spec = network.jobs_sent[0].spec
    assert (spec.name, spec.time_limit, spec.providers) == ("grid", 600, ["a"])
    assert (spec.resources.cpus, spec.resources.memory) == (2_000, 10**9)
    assert spec.budget == 4 * 250_000
    assert spec.software.stack == "python"


def test_a_field_that_no_job_has_is_refused_at_once() -> None:
    with pytest.raises(SpecError, match="did you mean providers"):
        NetworkExecutor(InstantNetwork(), provider=["lab"])


def test_what_cannot_be_pickled_is_its_own_futures_exception() -> None:
    with pool_on(InstantNetwork()) as pool:
        bad = pool.submit(len, threading.Lock())
        good = pool.submit(len, "abc")
        with pytest.raises(Unpicklable, match="argument 1 of len"):
            bad.result(PATIENCE_S)
        assert good.result(PATIENCE_S) == 3


def test_a_job_that_is_refused_fails_its_calls_with_the_reason() -> None:
    network = InstantNetwork()
    network.refuse = lambda spec: refusal("not_enough_cpus", "fewer_cpus")
    with pool_on(network) as pool, pytest.raises(Refused):
        pool.submit(len, "abc").result(PATIENCE_S)


def test_a_job_larger_than_the_network_takes_is_sent_in_parts() -> None:
    network = InstantNetwork()

    def too_many(spec: Any) -> Refused | None:
        is_large = spec.array is not None and spec.array.count > 4
        return refusal("too_many_tasks", "fewer_tasks", to=4) if is_large else None

    network.refuse = too_many
    with pool_on(network) as pool:
        assert list(pool.map(len, ["abc"] * 10)) == [3] * 10
        assert list(pool.map(len, ["abc"] * 5)) == [3] * 5
    assert [job.count for job in network.jobs_sent] == [4, 4, 2, 4, 1]
    assert len(network.keys) == 6, "the limit is learnt once"


def test_a_network_without_this_python_is_told_by_both_versions() -> None:
    network = InstantNetwork()
    network.refuse = lambda spec: refusal("needs_software", "other_software", version="3.6.1")
    with pool_on(network) as pool, pytest.raises(PythonMismatch) as raised:
        pool.submit(len, "abc").result(PATIENCE_S)
    assert "3.6.1" in str(raised.value)
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in str(raised.value)


def test_a_job_that_no_round_took_yet_is_asked_for_again_under_the_same_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executor, "ASKED_PAUSE_S", 0.0)
    network = InstantNetwork()
    network.asked_times = 2
    with pool_on(network) as pool:
        assert pool.submit(len, "abc").result(PATIENCE_S) == 3
    assert len(network.keys) == 3
    assert len(set(network.keys)) == 1
    assert len(network.jobs_sent) == 1


def test_as_completed_and_wait_see_calls_end_one_by_one() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        futures = [pool.submit(pow, 2, n) for n in range(3)]
        wait_until(lambda: network.jobs_sent)
        order = as_completed(futures, PATIENCE_S)
        for task in (2, 0, 1):
            network.end(network.jobs_sent[0], task)
            assert next(order) is futures[task]
        assert not wait(futures, PATIENCE_S).not_done


def test_a_future_knows_its_task_and_whether_it_runs() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        future = pool.submit(pow, 2, 3)
        wait_until(lambda: network.jobs_sent)
        [job] = network.jobs_sent
        assert not future.running()
        network.tell(job.id, "task_started", task=0)
        wait_until(future.running)
        network.tell(job.id, "task_requeued", task=0)
        wait_until(lambda: not future.running())
        network.end(job, 0)
        assert future.result(PATIENCE_S) == 8
        assert future.task is not None
        assert (future.task.job, future.task.index) == (job.id, 0)
        assert future.task.log() == "last words\n"


def test_a_task_that_leaves_no_result_says_how_it_ended_and_what_it_printed() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        future = pool.submit(pow, 2, 3)
        wait_until(lambda: network.jobs_sent)
        network.end(network.jobs_sent[0], 0, "failed")
        with pytest.raises(CallFailed, match="out of memory") as raised:
            future.result(PATIENCE_S)
    assert (raised.value.outcome, raised.value.cause) == ("failed", "out_of_memory")
    assert raised.value.log == "last words"


def test_a_waiting_call_is_cancelled_without_being_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "QUIET_S", 0.5)
    network = InstantNetwork()
    with pool_on(network) as pool:
        first, second = pool.submit(pow, 2, 3), pool.submit(pow, 2, 4)
        assert first.cancel()
        assert first.cancel()
        with pytest.raises(CancelledError):
            first.result(PATIENCE_S)
        assert second.result(PATIENCE_S) == 16
    assert [job.count for job in network.jobs_sent] == [1]


def test_a_job_is_cancelled_once_nobody_waits_for_any_of_its_calls() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        futures = [pool.submit(pow, 2, n) for n in range(3)]
        wait_until(lambda: network.jobs_sent)
        [job] = network.jobs_sent
        network.tell(job.id, "task_started", task=1)
        wait_until(futures[1].running)
        network.end(job, 0)
        assert futures[0].result(PATIENCE_S) == 1
        assert not futures[0].cancel()
        assert futures[1].cancel()
        with pytest.raises(Empty):
            network.cancelled_jobs.get(timeout=0.2)
        assert futures[2].cancel()
        assert network.cancelled_jobs.get(timeout=PATIENCE_S) == job.id
        assert not wait(futures, PATIENCE_S).not_done
    assert network.cancelled_jobs.empty()


def test_a_call_that_somebody_else_cancelled_is_a_cancelled_future() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        future = pool.submit(pow, 2, 3)
        wait_until(lambda: network.jobs_sent)
        network.end(network.jobs_sent[0], 0, "cancelled")
        with pytest.raises(CancelledError):
            future.result(PATIENCE_S)


def test_leaving_by_an_exception_cancels_what_is_under_way() -> None:
    network = InstantNetwork(is_held=True)
    futures = []

    def leave() -> None:
        with pool_on(network) as pool:
            futures.append(pool.submit(pow, 2, 3))
            wait_until(lambda: network.jobs_sent)
            raise KeyError("mine")

    with pytest.raises(KeyError):
        leave()
    assert futures[0].cancelled()
    assert network.cancelled_jobs.get_nowait() == network.jobs_sent[0].id


def test_a_failed_call_of_a_map_cancels_those_after_it() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        results = pool.map(pow, [2, 0, 2], [1, -1, 1])
        wait_until(lambda: network.jobs_sent)
        [job] = network.jobs_sent
        network.end(job, 0)
        network.end(job, 1)
        assert next(results) == 2
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert network.cancelled_jobs.get(timeout=PATIENCE_S) == job.id


def test_a_map_that_takes_too_long_times_out() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool, pytest.raises(TimeoutError):
        list(pool.map(pow, [2], [1], timeout=0.05))


def test_shutdown_takes_no_more_and_cancels_what_does_not_run_when_asked() -> None:
    network = InstantNetwork(is_held=True)
    pool = pool_on(network)
    running, waiting = pool.submit(pow, 2, 1), pool.submit(pow, 2, 2)
    wait_until(lambda: network.jobs_sent)
    network.tell(network.jobs_sent[0].id, "task_started", task=0)
    wait_until(running.running)
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(pow, 2, 3)
    network.end(network.jobs_sent[0], 0)
    assert running.result(PATIENCE_S) == 2
    assert waiting.cancelled()


def test_shutdown_without_waiting_still_sends_and_finishes_what_was_submitted() -> None:
    pool = pool_on(InstantNetwork())
    future = pool.submit(pow, 2, 3)
    pool.shutdown(wait=False)
    assert future.result(PATIENCE_S) == 8


def test_submit_waits_while_as_many_calls_as_may_be_are_under_way() -> None:
    network = InstantNetwork(is_held=True)
    most: list[int] = []

    def end_all() -> None:
        while len(most) < 6:
            for job in list(network.jobs_sent):
                for task in range(job.count):
                    if task not in job.ended:
                        under_way = sum(j.count - len(j.ended) for j in network.jobs_sent)
                        most.append(under_way)
                        network.end(job, task)
            time.sleep(0.005)

    ender = threading.Thread(target=end_all)
    ender.start()
    with pool_on(network, max_pending=2) as pool:
        assert list(pool.map(pow, [2] * 6, range(6))) == [1, 2, 4, 8, 16, 32]
    ender.join()
    assert max(most) <= 2


def test_a_callback_may_submit_even_when_no_more_calls_may_be_under_way() -> None:
    later: list[Any] = []
    with pool_on(InstantNetwork(), max_pending=1) as pool:
        first = pool.submit(pow, 2, 3)
        first.add_done_callback(lambda _: later.append(pool.submit(pow, 2, 4)))
        wait_until(lambda: later)
        assert later[0].result(PATIENCE_S) == 16


def test_what_the_stream_missed_is_seen_when_it_begins_again() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        futures = [pool.submit(pow, 2, n) for n in range(2)]
        wait_until(lambda: network.jobs_sent)
        network.end(network.jobs_sent[0], 1, is_told=False)
        network.break_off()
        assert futures[1].result(PATIENCE_S) == 2
        network.end(network.jobs_sent[0], 0)
        assert futures[0].result(PATIENCE_S) == 1


def test_calls_fail_when_their_events_cannot_be_followed() -> None:
    network = InstantNetwork(is_held=True)
    with pool_on(network) as pool:
        future = pool.submit(pow, 2, 3)
        wait_until(lambda: network.jobs_sent)
        network.events_queue.put(NotFound(problem_of("not_found", "no events here", status=404)))
        with pytest.raises(NotFound, match="no events here"):
            future.result(PATIENCE_S)
        with pytest.raises(NotFound, match="no events here"):
            pool.submit(pow, 2, 4).result(PATIENCE_S)


def test_progress_is_counted_to_the_end() -> None:
    seen: list[Progress] = []
    network = InstantNetwork()
    with pool_on(network, progress=seen.append) as pool:
        futures = [pool.submit(pow, 2, 3), pool.submit(pow, 0, -1), pool.submit(len, pow)]
        wait(futures, PATIENCE_S)
    assert seen[-1] == Progress(submitted=3, done=1, failed=2)
    assert [each.ended for each in seen] == sorted(each.ended for each in seen)


def test_a_working_folder_is_sent_with_the_calls(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no folder"):
        pool_on(InstantNetwork(), workdir=tmp_path / "absent")
