"""Python functions on the network, by the interface of `concurrent.futures`."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Condition, Lock, Thread, current_thread
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

from intertie.client import specs
from intertie.client.calls import (
    COMMAND,
    PYTHON,
    RESULT_PATH,
    Call,
    Functions,
    call_of,
    chunk_of,
    files_of,
    mismatch,
    name_of,
)
from intertie.client.collecting import Collector, patiently
from intertie.client.errors import Refused
from intertie.client.futures import NetworkFuture
from intertie.client.network import Intertie
from intertie.client.progress import OnProgress, Tally, reporter
from intertie.model.units import GIB
from intertie.wire.jobs import JobView
from intertie.wire.jobspec import ArraySpec, JobSpec

T = TypeVar("T")

# One page of tasks or files; and what a task that unpacks the folder pays for the others in it.
TASKS_MAX = 500
COPIED_BYTES_MAX = 8 * GIB
CALL_BYTES_MAX = GIB
QUIET_S, GATHER_S = 0.05, 0.5
ASKED_PAUSE_S = 1.0
_NEXT_PYTHON = (PYTHON[0], PYTHON[1] + 1)
SAME_PYTHON = {
    "stack": "python",
    "version": ">={}.{},<{}.{}".format(*PYTHON, *_NEXT_PYTHON),
}


@dataclass(frozen=True)
class _Entry:
    """A call that waits to be sent, with the functions that were pickled while it came."""

    future: NetworkFuture[Any]
    call: Call
    functions: Functions


class NetworkExecutor(Executor):
    r"""Runs Python functions as tasks of array jobs; futures are those of the standard library.

    What is submitted within a moment, or by one `map`, goes as one array job of up to 500 tasks.
    `cpus`, `memory`, `disk`, `devices`, `time_limit` and `budget` (credits) are for each call; any
    other field of a job spec may be named too, as `providers=["lab"]`. `workdir` is a folder whose
    modules the calls can import. Not more than `max_pending` calls are under way: `submit` waits.
    `progress` shows a bar on a terminal, or calls a function with a `Progress`.

    A call may run more than once: one that is evicted is begun again. Its result is unpickled
    here, so whoever runs it must be trusted as much as its code is: see docs/sdk.md.

    >>> from intertie.client import NetworkExecutor
    >>> def square(n):
    ...     return n * n
    >>> with NetworkExecutor(cpus=1, memory="256MiB", time_limit="1m") as pool:
    ...     print(list(pool.map(square, range(5))))
    [0, 1, 4, 9, 16]
    """

    def __init__(
        self,
        network: Intertie | None = None,
        *,
        name: str = "calls",
        cpus: float = 1,
        memory: str | int = "512MiB",
        disk: str | int | None = None,
        devices: Mapping[str, Any] | None = None,
        time_limit: str | int = "1h",
        software: Mapping[str, str] | None = None,
        budget: str | float | None = None,
        workdir: str | Path | None = None,
        max_pending: int | None = None,
        progress: bool | OnProgress = True,
        **fields: Any,
    ) -> None:
        resources = {"cpus": cpus, "memory": memory, "disk": disk, "devices": devices}
        told = {
            "name": name,
            "command": COMMAND,
            "results": [RESULT_PATH],
            "resources": {key: value for key, value in resources.items() if value is not None},
            "time_limit": time_limit,
            "software": SAME_PYTHON if software is None else dict(software),
            **({} if budget is None else {"budget": budget}),
            **fields,
        }
        loaded = specs.load(told, workdir)
        self._spec: JobSpec = loaded.spec
        self._workdir = loaded.folder
        self._has_own_python = software is None
        self._network = network or Intertie()
        self._is_own = network is None
        self._report = reporter(progress, name)
        self._tally = Tally(self._report)
        self._collector = Collector(self._network, self._tally)
        self._max_pending = max_pending
        self._tasks_max = TASKS_MAX
        self._changed = Condition()
        self._pickling = Lock()
        self._functions = Functions()
        self._queue: deque[_Entry] = deque()
        self._put_s = 0.0
        self._live: set[NetworkFuture[Any]] = set()
        self._gathering = self._blocked = 0
        self._is_closed = False
        self._sender: Thread | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> NetworkFuture[T]:
        """Return the future of one call. What cannot be pickled is the future's exception."""
        return self._put(fn, lambda functions: call_of(functions, fn, args, kwargs))

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Return results in order, `chunksize` calls in one task.

        The first exception is raised where its result would be, and cancels the calls after it.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be at least 1")
        ends = None if timeout is None else time.monotonic() + timeout
        rows = zip(*iterables, strict=False)
        with self._gather():
            if chunksize == 1:
                futures = [self.submit(fn, *args) for args in rows]
                return _in_order(futures, ends)
            chunks = iter(lambda: list(islice(rows, chunksize)), [])
            parts = [self._put_chunk(fn, chunk) for chunk in chunks]
        return (value for part in _in_order(parts, ends) for value in part)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; wait for those there are, or cancel those that do not run yet."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            pending = list(self._live)
        if cancel_futures:
            for future in pending:
                if not future.running():
                    future.cancel()
        if wait:
            self._wind_up(pending)
        else:
            Thread(target=self._wind_up, args=(pending,), daemon=True).start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for all calls; leaving by an exception cancels them: what runs costs money."""
        if kind is not None:
            with self._changed:
                pending = list(self._live)
            for future in pending:
                future.cancel()
        self.shutdown(wait=True)

    def _put(self, fn: Callable[..., Any], made: Callable[[Functions], Call]) -> NetworkFuture[Any]:
        future = self._admit(name_of(fn))
        try:
            with self._pickling:
                functions = self._functions
                call = made(functions)
        except Exception as error:  # noqa: BLE001 - it is raised by `result`, as elsewhere
            future.set_exception(error)
            return future
        with self._changed:
            self._queue.append(_Entry(future, call, functions))
            self._put_s = time.monotonic()
            if len(self._queue) in (1, self._tasks_max):
                self._changed.notify_all()
        return future

    def _put_chunk(
        self, fn: Callable[..., T], chunk: Sequence[Sequence[Any]]
    ) -> NetworkFuture[list[T]]:
        return self._put(fn, lambda functions: chunk_of(functions, fn, chunk))

    def _admit(self, name: str) -> NetworkFuture[Any]:
        """Return a new future, once there is room for it."""
        future: NetworkFuture[Any] = NetworkFuture(name, self._cancel)
        with self._changed:
            self._wait_for_room()
            if self._is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._sender is None:
                self._sender = Thread(target=self._send_all, name="intertie-send", daemon=True)
                self._sender.start()
            self._live.add(future)
        self._tally.count(submitted=1)
        future.add_done_callback(self._done)
        return future

    def _wait_for_room(self) -> None:
        """Wait until fewer calls are under way than may be; never in a thread that ends calls."""
        if self._max_pending is None or current_thread().name.startswith("intertie-"):
            return
        self._blocked += 1
        self._changed.notify_all()
        room = self._max_pending
        self._changed.wait_for(lambda: len(self._live) < room or self._is_closed)
        self._blocked -= 1

    def _done(self, future: Any) -> None:
        with self._changed:
            self._live.discard(future)
            self._changed.notify_all()
        if future.cancelled():
            self._tally.count(cancelled=1)
        else:
            self._tally.count(**{"done" if future.exception() is None else "failed": 1})

    def _cancel(self, future: NetworkFuture[Any]) -> bool:
        if not future.drop():
            return False
        self._collector.cancelled(future)
        return True

    @contextmanager
    def _gather(self) -> Iterator[None]:
        """Have only full batches sent meanwhile: more is coming."""
        with self._changed:
            self._gathering += 1
        try:
            yield
        finally:
            with self._changed:
                self._gathering -= 1
                self._changed.notify_all()

    def _send_all(self) -> None:
        """Send batches until closed and empty; the sender's thread."""
        while batch := self._next():
            try:
                self._send([entry for entry in batch if not entry.future.done()])
            except BaseException as error:  # noqa: BLE001 - it is raised by `result`
                for entry in batch:
                    if not entry.future.done():
                        entry.future.set_exception(error)

    def _next(self) -> list[_Entry]:
        """Return the next batch, once nothing more has come for a moment; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            ends = time.monotonic() + GATHER_S
            while len(self._queue) < self._tasks_max and not self._is_closed:
                is_more = self._gathering > 0 and not self._blocked
                left_s = min(ends, self._put_s + QUIET_S) - time.monotonic()
                if left_s <= 0 and not is_more:
                    break
                self._changed.wait(None if is_more else left_s)
            return self._take()

    def _take(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        while self._queue and len(batch) < self._tasks_max:
            size += len(self._queue[0].call.content)
            is_large = (len(batch) + 1) * size > COPIED_BYTES_MAX or size > CALL_BYTES_MAX
            if batch and is_large:
                break
            batch.append(self._queue.popleft())
        self._functions = Functions()
        return batch

    def _send(self, batch: list[_Entry]) -> None:
        if not batch:
            return
        functions = {e.call.function: e.functions.pickled[e.call.function] for e in batch}
        files = files_of([entry.call for entry in batch], functions)
        with self._collector.sending():
            folder = patiently(lambda: self._network.upload(self._workdir, beside=files))
            spec = self._spec_of(len(batch), folder, sum(map(len, files.values())))
            try:
                job = self._submitted(spec)
            except Refused as no:
                self._send_less(batch, no)
                return
            self._collector.expect(job.id, [entry.future for entry in batch])

    def _submitted(self, spec: JobSpec) -> JobView:
        """Submit once, however often it must be asked: no round may have come in time."""
        key = uuid4().hex
        job = patiently(lambda: self._network.submit(spec, key=key))
        while job.state == "asked":
            time.sleep(ASKED_PAUSE_S)
            job = patiently(lambda: self._network.submit(spec, key=key))
        return job

    def _send_less(self, batch: list[_Entry], no: Refused) -> None:
        """Send a batch in parts where the network takes no job so large; else raise why not."""
        assert no.refusal is not None, "a refusal has a reason"
        change = no.refusal.relaxation
        most = int(change.values["to"]) if change and change.code == "fewer_tasks" else 0
        if 0 < most < len(batch):
            self._tasks_max = min(self._tasks_max, most)
            for begin in range(0, len(batch), most):
                self._send(batch[begin : begin + most])
            return
        is_python = self._has_own_python and no.refusal.code == "needs_software"
        if is_python and change and "version" in change.values:
            raise mismatch(str(change.values["version"])) from no
        raise no

    def _spec_of(self, count: int, folder: str, size_bytes: int) -> JobSpec:
        changes: dict[str, Any] = {"workdir": folder}
        if count > 1:
            changes["array"] = ArraySpec(count=count)
        if self._spec.budget is not None:
            changes["budget"] = self._spec.budget * count
        resources = self._spec.resources
        if "disk" not in resources.model_fields_set:
            room = {"disk": max(resources.disk, 3 * size_bytes)}
            changes["resources"] = resources.model_copy(update=room)
        return self._spec.model_copy(update=changes)

    def _wind_up(self, pending: Sequence[NetworkFuture[Any]]) -> None:
        """Return when every call has ended, and nothing of the executor is left."""
        if self._sender is not None:
            self._sender.join()
        wait(pending)
        self._collector.close()
        if hasattr(self._report, "close"):
            self._report.close()
        if self._is_own:
            self._network.close()


def _in_order(futures: Sequence[NetworkFuture[T]], ends: float | None) -> Iterator[T]:
    """Yield results in order; whoever stops listening cancels the rest."""
    left = list(reversed(futures))
    try:
        while left:
            timeout_s = None if ends is None else ends - time.monotonic()
            value = left[-1].result(timeout_s)
            left.pop()
            yield value
    finally:
        for future in left:
            future.cancel()
