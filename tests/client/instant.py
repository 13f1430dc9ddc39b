"""A network that makes calls in this very process, for tests of the executor's own part."""

import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Lock
from typing import Any

from intertie.client import Intertie, IntertieError, NotFound, Refused
from intertie.client.errors import problem_of
from intertie.client.runner import CALLS, FOLDER, FUNCTIONS, INDEX
from intertie.client.streams import ServerEvent
from intertie.wire.base import RefusalBody, RelaxationBody
from intertie.wire.jobs import JobView, TaskView
from intertie.wire.jobspec import JobSpec
from tests.client.samples import a_job, a_task, an_attempt, an_event

URL = "http://127.0.0.1:1"


@dataclass
class Sent:
    """One job that came: its spec, its files, and which of its tasks have ended."""

    id: str
    spec: JobSpec
    files: Mapping[str, bytes]
    ended: dict[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return (self.spec.array.count or 1) if self.spec.array else 1

    def call(self, task: int) -> Any:
        """Make the call of a task and return what it gives."""
        told = json.loads(self.files[f"{FOLDER}/{INDEX}"])["calls"][task]
        function = pickle.loads(self.files[f"{FOLDER}/{FUNCTIONS}/{told['function']}"])
        content = self.files[f"{FOLDER}/{CALLS}"]
        args, named = pickle.loads(content[told["offset"] : told["offset"] + told["size"]])
        if told["is_chunk"]:
            return [function(*each) for each in args]
        return function(*args, **named)


class InstantNetwork(Intertie):
    """Ends every task as soon as it comes, or, with `is_held`, when a test says so."""

    def __init__(self, is_held: bool = False) -> None:
        super().__init__(URL, "secret")
        self.jobs_sent: list[Sent] = []
        self.keys: list[str] = []
        self.cancelled_jobs: Queue[str] = Queue()
        self.is_held = is_held
        self.refuse: Callable[[JobSpec], IntertieError | None] = lambda spec: None
        self.asked_times = 0
        self.looked_at = Event()
        self.events_queue: Queue[ServerEvent | BaseException] = Queue()
        self._number = 1
        self._files: dict[str, Mapping[str, bytes]] = {}
        self._lock = Lock()

    # What the executor uses of a network.

    def upload(
        self,
        folder: str | Path | None,
        on_progress: Any = None,
        *,
        beside: Mapping[str, bytes] | None = None,
    ) -> str:
        digest = f"{len(self._files):064x}"
        self._files[digest] = dict(beside or {})
        return digest

    def submit(self, spec: Any, *_: Any, key: str | None = None, **__: Any) -> JobView:
        self.keys.append(key or "")
        refused = self.refuse(spec)
        if refused is not None:
            raise refused
        if len(self.keys) <= self.asked_times:
            return a_job(state="asked")
        job = Sent(f"job-{len(self.jobs_sent) + 1:04d}", spec, self._files[spec.workdir])
        self.jobs_sent.append(job)
        if not self.is_held:
            for task in range(job.count):
                self.end(job, task)
        return a_job(id=job.id)

    def another_line(self) -> Any:
        return Line(self)

    def fetch(self, job: Any, task: int, path: str, to: Path) -> None:
        sent = self.sent(job)
        if sent.ended[task] != "done":
            raise NotFound(problem_of("not_found", "no such file", status=404))
        value = sent.call(task)
        head = json.dumps({"kind": "value", "type": "", "text": ""}).encode()
        to.write_bytes(head + b"\n" + pickle.dumps(value))

    def tasks(self, job: Any) -> Iterator[TaskView]:
        self.looked_at.set()
        sent = self.sent(job)
        return iter([a_task(n, state="ended", outcome=how) for n, how in sent.ended.items()])

    def task(self, job: Any, index: int) -> TaskView:
        attempt = an_attempt(state="ended", cause="out_of_memory")
        return a_task(index, attempt, state="ended", outcome=self.sent(job).ended[index])

    def log_size(self, job: Any, task: int = 0) -> int:
        return 4

    def logs(self, *_: Any, **__: Any) -> Iterator[str]:
        return iter(["last words\n"])

    def cancel(self, job: Any, *, key: str | None = None) -> JobView:
        self.cancelled_jobs.put(job)
        return a_job(id=job)

    # What a test makes it do.

    def sent(self, job: str) -> Sent:
        return next(each for each in self.jobs_sent if each.id == job)

    def end(self, job: Sent, task: int, outcome: str = "done", is_told: bool = True) -> None:
        """End a task, and tell of it unless the stream is to miss it."""
        job.ended[task] = outcome
        if is_told:
            self.tell(job.id, "task_ended", task=task, outcome=outcome)

    def tell(self, job: str, code: str, **values: Any) -> None:
        with self._lock:
            self._number += 1
            told = an_event(self._number, code, **values)
        event = told.model_copy(update={"job": job})
        text = event.model_dump_json()
        self.events_queue.put(ServerEvent("state", text, str(event.number)))

    def break_off(self) -> None:
        """Let the stream begin again, as after a lost connection."""
        self.events_queue.put(ServerEvent("open", "{}", str(self._number)))


class Line:
    """The stream of events."""

    def __init__(self, network: InstantNetwork) -> None:
        self._network = network

    def listen(
        self, path: str, resume: Any, is_over: Any, tick: Callable[[], None]
    ) -> Iterator[ServerEvent]:
        assert path == "events"
        resume(None)
        yield ServerEvent("open", "{}", "1")
        while not is_over():
            tick()
            try:
                found = self._network.events_queue.get(timeout=0.05)
            except Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            yield found

    def close(self) -> None:
        """Nothing is held."""

    def sleep(self, seconds: float) -> None:
        """Nobody waits here."""


def refusal(code: str, relaxation: str = "", **values: Any) -> Refused:
    change = RelaxationBody(code=relaxation, values=values) if relaxation else None
    told = problem_of("refused", "The network refuses it", status=422)
    body = RefusalBody(code=code, values={}, relaxation=change)
    return Refused(told.model_copy(update={"refusal": body}))
