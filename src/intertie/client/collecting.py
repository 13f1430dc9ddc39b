"""From what happens on the network to futures: one stream is followed for all calls.

Events say that a task began or ended; its result is then fetched as a file. Where the stream broke
it goes on after the last event, and the jobs are looked at once, whatever it missed.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from intertie.client.calls import RESULT_PATH, value_in
from intertie.client.errors import IntertieError, NotFound, Unreachable, problem_of
from intertie.client.futures import CallFailed, NetworkFuture, RemoteTask
from intertie.client.progress import Tally
from intertie.client.streams import ServerEvent
from intertie.wire.jobs import JobEvent

if TYPE_CHECKING:
    from intertie.client.network import Intertie

T = TypeVar("T")
FETCHERS = 4
PATIENCE_S = 120.0
PAUSE_S = 1.0
log = logging.getLogger("intertie.client")


@dataclass
class Job:
    """One array job: its futures by index, and which of its tasks have not ended."""

    id: str
    futures: Sequence[NetworkFuture[Any]]
    unended: set[int] = field(default_factory=set)
    is_cancelled: bool = False


class Collector:
    """Resolves the futures of all jobs of one executor."""

    def __init__(self, network: "Intertie", tally: Tally) -> None:
        self._network = network
        self._tally = tally
        self._lock = RLock()
        self._jobs: dict[str, Job] = {}
        self._early: list[JobEvent] = []
        self._in_flight = 0
        self._last = ""
        self._opened = Event()
        self._error: BaseException | None = None
        self._is_closing = False
        self._fetchers = ThreadPoolExecutor(FETCHERS, "intertie-fetch")
        self._thread: Thread | None = None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Follow the network's events while a job is sent: they may come before its id is known."""
        self._follow_events()
        with self._lock:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1
                if not self._in_flight:
                    self._early.clear()

    def expect(self, number: str, futures: Sequence[NetworkFuture[Any]]) -> None:
        """Take on a job whose task `i` makes the call of future `i`."""
        job = Job(number, futures, set(range(len(futures))))
        for index, future in enumerate(futures):
            future.task = RemoteTask(self._network, number, index)
        with self._lock:
            if self._error is not None:
                raise self._error
            self._jobs[number] = job
            early = [event for event in self._early if event.job == number]
        for event in early:
            self._hear(event)
        self._release(job)

    def cancelled(self, future: NetworkFuture[Any]) -> None:
        """Note that nobody waits for a call: its job is stopped if that is so for all of it."""
        if future.task is not None:
            with self._lock:
                job = self._jobs.get(future.task.job)
            if job is not None:
                self._release(job)

    def close(self) -> None:
        """Fetch what is left and follow nothing more; call it when every future is done."""
        self._is_closing = True
        self._fetchers.shutdown(wait=True)

    def _follow_events(self) -> None:
        """Return once events are followed; raise why they cannot be."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._follow, name="intertie-follow", daemon=True)
                self._thread.start()
        is_open = self._opened.wait(PATIENCE_S)
        if self._error is not None:
            raise self._error
        if not is_open:
            raise Unreachable(problem_of("unreachable", "The network tells of no events"))

    def _follow(self) -> None:
        transport = self._network.another_line()
        try:
            while not self._is_closing:
                try:
                    for event in transport.listen(
                        "events", self._resume, self._is_over, tick=self._tick
                    ):
                        self._take(event)
                except Unreachable as error:
                    log.warning("%s", error)
                    transport.sleep(PAUSE_S)
        except _Over:
            return
        except BaseException as error:  # noqa: BLE001 - every call raises it
            self._give_up(error)
        finally:
            transport.close()

    def _resume(self, _: ServerEvent | None) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        return {"follow": "true"}, {"Last-Event-ID": self._last} if self._last else {}

    def _is_over(self) -> bool:
        return self._is_closing

    def _tick(self) -> None:
        if self._is_closing:
            raise _Over

    def _take(self, event: ServerEvent) -> None:
        is_again = bool(self._last)
        self._last = event.id
        if event.event == "open":
            self._opened.set()
            if is_again:
                with self._lock:
                    jobs = list(self._jobs.values())
                for job in jobs:
                    self._apart(self._look_at, job)
        elif event.event == "state":
            self._hear(JobEvent.model_validate_json(event.data))

    def _hear(self, event: JobEvent) -> None:
        with self._lock:
            job = self._jobs.get(event.job)
            if job is None:
                if self._in_flight:
                    self._early.append(event)
                return
        index = event.values.get("task")
        if index is None:
            return
        if event.code in ("task_ended", "task_dropped"):
            self._ended(job, index, str(event.values.get("outcome", "")))
        elif event.code in ("task_started", "task_requeued"):
            self._runs(job.futures[index], event.code == "task_started")

    def _look_at(self, job: Job) -> None:
        """See for oneself which tasks have ended, whatever was heard."""
        try:
            tasks = list(patiently(lambda: list(self._network.tasks(job.id))))
        except IntertieError as error:
            for future in job.futures:
                _fail(future, error)
            return
        for task in tasks:
            if task.state == "ended":
                self._ended(job, task.index, task.outcome)

    def _ended(self, job: Job, index: int, outcome: str) -> None:
        future = job.futures[index]
        with self._lock:
            if index not in job.unended:
                return
            job.unended.discard(index)
            if not job.unended:
                self._jobs.pop(job.id, None)
        self._runs(future, False)
        if outcome == "cancelled":
            future.drop()
        elif not future.done():
            self._apart(self._resolve, future)

    def _runs(self, future: NetworkFuture[Any], is_running: bool) -> None:
        if future.is_running != is_running:
            future.is_running = is_running
            self._tally.count(running=1 if is_running else -1)

    def _resolve(self, future: NetworkFuture[Any]) -> None:
        """Fetch what came of a call, and give it to whoever waits."""
        try:
            value = self._value_of(future)
        except BaseException as error:  # noqa: BLE001 - it is the call's, and raised by `result`
            _fail(future, error)
            return
        with suppress(InvalidStateError):  # cancelled meanwhile
            future.set_result(value)

    def _value_of(self, future: NetworkFuture[Any]) -> Any:
        task = future.task
        assert task is not None, "a call that ended was sent"
        with TemporaryDirectory(prefix="intertie-") as folder:
            place = Path(folder) / "result"
            try:
                patiently(lambda: self._network.fetch(task.job, task.index, RESULT_PATH, place))
            except NotFound:
                view = patiently(task.view)
                raise CallFailed(future.name, task, view) from None
            return value_in(place, future.name, f"in task {task.index} of {task.job}")

    def _release(self, job: Job) -> None:
        """Have the network stop a job when nobody waits for what is left of it."""
        with self._lock:
            is_wanted = any(not job.futures[index].done() for index in job.unended)
            if is_wanted or job.is_cancelled or not job.unended:
                return
            job.is_cancelled = True
        self._apart(self._cancel, job.id)

    def _cancel(self, job: str) -> None:
        try:
            patiently(lambda: self._network.cancel(job))
        except IntertieError as error:
            log.warning("%s could not be cancelled: %s", job, error)

    def _give_up(self, error: BaseException) -> None:
        """Fail every call: without events nobody would ever hear of them."""
        with self._lock:
            self._error = error
            jobs = list(self._jobs.values())
            self._jobs.clear()
        self._opened.set()
        for job in jobs:
            for future in job.futures:
                _fail(future, error)

    def _apart(self, work: Callable[..., None], *given: Any) -> None:
        with suppress(RuntimeError):  # closed: every future is done
            self._fetchers.submit(work, *given)


class _Over(Exception):
    """Nobody waits for events any more."""


def patiently(work: Callable[[], T], pause_s: float = PAUSE_S) -> T:
    """Do what may be repeated until the network answers; give up after two minutes without it."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work()
        except Unreachable:
            if time.monotonic() > ends:
                raise
            time.sleep(pause_s)


def _fail(future: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)
