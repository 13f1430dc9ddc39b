"""Callers: how jobs are asked for, over HTTP, by many connections at once."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.load.http import Broken, Doors, Reply

Spec = dict[str, Any]


@dataclass
class Asked:
    """What callers heard: for each answer its status, when it was sent and how long it took."""

    sent_ns: list[int] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    broken: int = 0
    seconds: float = 0.0

    def jobs(self) -> dict[str, int]:
        """Return the acknowledged jobs and when each was asked for (monotonic ns)."""
        pairs = zip(self.sent_ns, self.replies, strict=True)
        return {r.json()["id"]: at for at, r in pairs if r.status in (201, 202)}

    def count(self, *statuses: int) -> int:
        """Return how many answers had one of these statuses."""
        return sum(reply.status in statuses for reply in self.replies)


def spec(work_ms: int = 0, tasks: int = 0, name: str = "load") -> Spec:
    """Return a job on one core that takes `work_ms`; an array where it has several tasks."""
    told: Spec = {
        "name": name,
        "command": ["true"],
        "time_limit": "10m",
        "resources": {"cpus": 1, "memory": "64MiB", "disk": "1MiB"},
        "environment": {"WORK_MS": str(work_ms)},
    }
    return told | ({"array": {"count": tasks}} if tasks else {})


class Callers:
    """As many connections as there are callers, each with one request on its way."""

    def __init__(self, ports: tuple[int, ...], tokens: list[str], at_once: int) -> None:
        self.doors = Doors(ports, at_once)
        self.tokens, self.at_once = tokens, at_once
        self._next = 0

    async def submit(self, specs: list[Spec]) -> Asked:
        """Ask for each job; every caller asks for its next when it has heard (closed loop)."""
        asked, left = Asked(), iter(specs)

        async def caller() -> None:
            for each in left:
                await self._one(each, asked)

        begun = time.monotonic()
        await asyncio.gather(*(caller() for _ in range(self.at_once)))
        asked.seconds = time.monotonic() - begun
        return asked

    async def pour(
        self, make: Callable[[], Spec], rate: float, seconds: float, waiting_max: int = 4000
    ) -> Asked:
        """Ask `rate` times a second whatever is heard (open loop); at most so many unanswered."""
        asked, begun = Asked(), time.monotonic()
        waiting: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            wait_s = begun + number / rate - time.monotonic()
            if wait_s > 0 or number % 50 == 0:
                await asyncio.sleep(max(0.0, wait_s))
            if len(waiting) < waiting_max:
                task = asyncio.create_task(self._one(make(), asked))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)
        asked.seconds = time.monotonic() - begun
        return asked

    async def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        headers = {"Authorization": f"Bearer {self.tokens[0]}"}
        return (await self.doors.ask("GET", path, headers)).json()

    async def _one(self, each: Spec, asked: Asked) -> None:
        self._next += 1
        headers = {
            "Authorization": f"Bearer {self.tokens[self._next % len(self.tokens)]}",
            "Content-Type": "application/json",
            "Idempotency-Key": os.urandom(12).hex(),
        }
        sent_ns = time.monotonic_ns()
        try:
            reply = await self.doors.ask("POST", "/v1/jobs", headers, orjson.dumps({"spec": each}))
        except (Broken, OSError):
            asked.broken += 1
            return
        asked.took_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
        asked.sent_ns.append(sent_ns)
        asked.replies.append(reply)
