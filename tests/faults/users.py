"""Users who go on submitting whatever breaks, and the record of what was acknowledged to them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from intertie.client import Intertie, IntertieError, Refused
from tests.faults.network import Ground
from tests.faults.plan import Ask

T = TypeVar("T")
PATIENCE_S = 90.0
# No answer, too much asked, or a door that broke in the middle of it: a patient user asks again.
AGAIN = (0, 429, 500, 502, 503, 504)
SCRIPT = """\
me="$INTERTIE_JOB $INTERTIE_TASK_INDEX $INTERTIE_ATTEMPT"
say() { read -r up _ </proc/uptime; echo "$me $1 $up" >>"$TRACE"; }
read -r stat <"/proc/$$/stat"
set -- $stat
shift 21  # when this process was forked, in hundredths of a second since boot
say "start=$1"
n=0
if [ -f state ]; then read -r n <state; say "from=$n"; fi
while [ "$n" -lt "$STEPS" ]; do
  sleep "${PACE:-0.1}"
  n=$((n + 1))
  say beat
  if [ -n "$SAVES" ]; then echo "$n" >state.new && mv state.new state; fi
done
until echo "$me" 2>/dev/null >out.txt; do sleep 0.1; done
say end
exit "$CODE"
"""


@dataclass
class Record:
    """What one user was told about one job."""

    ask: Ask
    job: str = ""
    acks: set[str] = field(default_factory=set)
    refusal: str = ""
    is_cancelled: bool = False
    tries: int = 0
    waited_s: float = 0.0


class Users:
    """One thread for each project; jobs are submitted in the plan's order and at its pace."""

    def __init__(
        self,
        ground: Ground,
        tokens: list[str],
        jobs: tuple[Ask, ...],
        urls: Callable[[], list[str]],
    ) -> None:
        self.records = [Record(ask) for ask in jobs]
        self.errors: list[str] = []
        self._ground, self._urls = ground, urls
        self._lock = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, args=(project, token), daemon=True)
            for project, token in enumerate(tokens)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def are_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a user still waits for an answer"

    def _work(self, project: int, token: str) -> None:
        cancels: list[threading.Thread] = []
        with caller(self._urls, token) as ask_network:
            for number, record in enumerate(self.records):
                if record.ask.project != project:
                    continue
                time.sleep(record.ask.pause_s)
                if record.ask.after and not self._job_of(record.ask.after):
                    with self._lock:
                        record.refusal = "the job that it waits for was refused"
                        self._lock.notify_all()
                    continue
                self._submit(number, record, ask_network)
                if record.job and record.ask.cancel_after_s >= 0:
                    cancels.append(self._cancel_later(record, token))
        for each in cancels:
            each.join()

    def _submit(self, number: int, record: Record, ask_network: "Caller") -> None:
        began = time.monotonic()
        spec = self._spec(record.ask)

        def submit(network: Intertie) -> str:
            record.tries += 1
            return network.submit(spec, key=f"key-{number}").id

        try:
            record.acks.add(ask_network(submit))
            if number % 3 == 0:  # as a user whose answer was lost would
                record.acks.add(ask_network(submit))
        except Refused as no:
            record.refusal = no.refusal.code if no.refusal else no.code
        except (IntertieError, TimeoutError) as error:
            self.errors.append(f"{record.ask.name} could not be submitted: {error}")
        with self._lock:
            record.job = min(record.acks, default="")
            record.waited_s = time.monotonic() - began
            self._lock.notify_all()

    def _spec(self, ask: Ask) -> dict[str, Any]:
        told: dict[str, Any] = {
            "name": ask.name,
            "script": SCRIPT,
            "environment": {
                "TRACE": str(self._ground.trace),
                "STEPS": str(ask.steps),
                "SAVES": "1" if ask.saves else "",
                "CODE": str(ask.exit_code),
                "INTERTIE_FAULTS": str(self._ground.folder),
            },
            "resources": {"cpus": 1, "memory": "64MiB", "disk": "16MiB"},
            "results": ["out.txt"],
            "time_limit": "60s",
            "expected": 1,
            "on_partition": ask.on_partition,
        }
        if ask.tasks > 1:
            told["array"] = {"count": ask.tasks}
        if ask.gang:
            told["gang"] = True
        if ask.saves:
            told["checkpoint"] = {"path": "state", "grace": 1}
        if ask.after:
            told["after"] = [self._job_of(ask.after)]
        return told

    def _job_of(self, name: str) -> str:
        """Return the id of an earlier job, waiting until its user has it."""
        record = next(r for r in self.records if r.ask.name == name)
        with self._lock:
            self._lock.wait_for(lambda: record.job or record.refusal, PATIENCE_S)
        return record.job

    def _cancel_later(self, record: Record, token: str) -> threading.Thread:
        def cancel() -> None:
            time.sleep(record.ask.cancel_after_s)
            with caller(self._urls, token) as ask_network:
                try:
                    ask_network(lambda network: network.cancel(record.job, key=record.ask.name))
                    record.is_cancelled = True
                except (IntertieError, TimeoutError) as error:
                    self.errors.append(f"{record.ask.name} could not be cancelled: {error}")

        thread = threading.Thread(target=cancel, daemon=True)
        thread.start()
        return thread


class Caller:
    """Asks the network by any of its doors, again and again until one answers."""

    def __init__(self, urls: Callable[[], list[str]], token: str) -> None:
        self._urls, self._token = urls, token
        self._clients: dict[str, Intertie] = {}
        self._turn = 0

    def __call__(self, act: Callable[[Intertie], T]) -> T:
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                return act(self._client())
            except IntertieError as error:
                if error.status not in AGAIN or time.monotonic() > ends:
                    raise
            self._turn += 1
            time.sleep(0.05)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _client(self) -> Intertie:
        urls = self._urls()
        url = urls[self._turn % len(urls)]
        if url not in self._clients:
            self._clients[url] = Intertie(url, self._token, timeout_s=20.0)
        return self._clients[url]


@contextmanager
def caller(urls: Callable[[], list[str]], token: str) -> Iterator[Caller]:
    """Yield a patient caller with a bearer's token, and close its connections in the end."""
    made = Caller(urls, token)
    try:
        yield made
    finally:
        made.close()
