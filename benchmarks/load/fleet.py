"""The fleet: many simulated agents in one process of their own, driven by lines of JSON.

`join` enrols agents and opens their sessions, `live` has them poll and tell as the protocol asks,
`storm` has them exchange as fast as they are answered, `count` says what they have seen.
"""

import asyncio
import os
import resource
import sys
import time
from asyncio import StreamReader
from typing import Any

import orjson
import uvloop

from benchmarks.load.http import Broken, Connection, Doors, connect
from benchmarks.load.speaker import FOREVER, PROTOCOL, Body, Speaker, now_ms
from intertie.agent.key import Key

TELLING_MAX = 64
JOINING_MAX = 64
LINE_BYTES_MAX = 1 << 28


class Refused(Exception):
    """The door answered something else than success; the text holds what."""


class Fleet:
    """All agents of one network, and what happened to them."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self.ports = ports
        self.speakers: list[Speaker] = []
        self.doors = Doors(ports, TELLING_MAX)
        self.exchanges = self.faults = 0
        self.last_fault = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def obey(self, order: Body) -> Body:
        """Do what one line asks and return what to answer."""
        if order["do"] == "join":
            return await self.join(order)
        if order["do"] == "storm":
            return await self.storm(order["at_once"], order["seconds"])
        if order["do"] == "live":
            for index, speaker in enumerate(self.speakers[len(self._tasks) :]):
                poll = self._live(speaker, self.ports[index % len(self.ports)])
                self._tasks.append(asyncio.create_task(poll))
            return {}
        return self.count(bool(order.get("arrivals")))

    async def join(self, order: Body) -> Body:
        """Enrol one agent for each token and open its session; return how long it took (s)."""
        begun = time.monotonic()
        room = asyncio.Semaphore(JOINING_MAX)
        first = len(self.speakers)

        async def one(index: int, token: str) -> Speaker:
            async with room:
                return await self._enrol(f"pool{index}", token, order)

        joining = [one(first + at, token) for at, token in enumerate(order["tokens"])]
        self.speakers += await asyncio.gather(*joining)
        return {"agents": len(self.speakers), "seconds": time.monotonic() - begun}

    async def storm(self, at_once: int, seconds: float) -> Body:
        """Exchange with `at_once` agents at a time, in turn; return latencies (ms) and cost."""
        ends, cpu_s = time.monotonic() + seconds, time.process_time()
        took_ms: list[float] = []
        turn = iter(range(1 << 60))

        async def one() -> None:
            while time.monotonic() < ends:
                speaker = self.speakers[next(turn) % len(self.speakers)]
                begun = time.monotonic()
                await self._tell(speaker)
                took_ms.append((time.monotonic() - begun) * 1000)

        begun = time.monotonic()
        await asyncio.gather(*(one() for _ in range(min(at_once, len(self.speakers)))))
        elapsed_s = time.monotonic() - begun
        return {"took_ms": took_ms, "seconds": elapsed_s, "cpu_s": time.process_time() - cpu_s}

    def count(self, wants_arrivals: bool) -> Body:
        """Return totals since the start; arrivals are monotonic ns of each job's first lease."""
        told: Body = {
            "taken": sum(each.taken for each in self.speakers),
            "ended": sum(each.ended for each in self.speakers),
            "held": sum(len(each.attempts) for each in self.speakers),
            "exchanges": self.exchanges,
            "mismatches": sum(each.mismatches for each in self.speakers),
            "faults": self.faults,
            "last_fault": self.last_fault,
            "cpu_s": time.process_time(),
        }
        if wants_arrivals:
            told["arrivals"] = {j: at for s in self.speakers for j, at in s.arrivals.items()}
        return told

    async def _enrol(self, pool: str, token: str, order: Body) -> Speaker:
        key = Key(os.urandom(32))
        speaker = Speaker(pool, key, order["cpus_milli"], order["memory_bytes"])
        enrolled = {"token": token, "pool": pool, "public_key": key.public}
        speaker.agent = (await self._signed(speaker, "/v1/agents", enrolled))["agent"]
        await self._open(speaker, speaker.pool_body(order["price_micro"], order["nodes"]))
        return speaker

    async def _open(self, speaker: Speaker, pool: Body) -> None:
        path = f"/v1/agents/{speaker.agent}/sessions"
        speaker.opened(
            await self._signed(
                speaker, path, {"protocol_min": PROTOCOL, "protocol_max": PROTOCOL, "pool": pool}
            )
        )

    async def _live(self, speaker: Speaker, port: int) -> None:
        """Hold the long poll on a connection of its own; news are told beside it at once."""
        telling = asyncio.create_task(self._keep_telling(speaker))
        poll: Connection | None = None
        try:
            while True:
                try:
                    await self._tell_news(speaker)
                    poll = poll if poll and poll.is_open else await connect(port)
                    await self._exchange(speaker, speaker.next_poll_ms, poll)
                    speaker.news.set()
                except (Broken, OSError, Refused) as fault:
                    self._note(fault)
                    await asyncio.sleep(1.0)
        finally:
            telling.cancel()

    async def _keep_telling(self, speaker: Speaker) -> None:
        """Tell what happens by the clock while the long poll waits."""
        loop = asyncio.get_running_loop()
        while True:
            left_ms = speaker.next_at() - now_ms()
            if left_ms < FOREVER // 2:
                loop.call_later(max(0, left_ms) / 1000, speaker.news.set)
            await speaker.news.wait()
            speaker.news.clear()
            try:
                await self._tell_news(speaker)
            except (Broken, OSError, Refused) as fault:
                self._note(fault)
                await asyncio.sleep(0.2)
                speaker.news.set()

    async def _tell_news(self, speaker: Speaker) -> None:
        """Tell until there is nothing more to tell; one message with news at a time."""
        async with speaker.telling:
            while speaker.has_news():
                await self._tell(speaker)

    async def _tell(self, speaker: Speaker) -> None:
        """Exchange without waiting, over the connections that all agents share."""
        message, saying = speaker.message(0)
        path = f"/v1/agents/{speaker.agent}/sync"
        speaker.hear(await self._signed(speaker, path, message), message, saying)
        self.exchanges += 1

    async def _exchange(self, speaker: Speaker, wait_ms: int, on: Connection) -> None:
        message, saying = speaker.message(wait_ms)
        path = f"/v1/agents/{speaker.agent}/sync"
        body, headers = _sealed(speaker, path, message)
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        reply = await on.ask("\r\n".join([*lines, "", ""]).encode() + body)
        speaker.hear(_good(reply.status, reply.body), message, saying)
        self.exchanges += 1

    async def _signed(self, speaker: Speaker, path: str, message: Body) -> Any:
        body, headers = _sealed(speaker, path, message)
        for wait_s in (0.2, 1.0, 2.0, 5.0, 0.0):
            reply = await self.doors.ask("POST", path, headers, body)
            if reply.status not in (429, 503) or not wait_s:
                break
            await asyncio.sleep(wait_s)
        return _good(reply.status, reply.body)

    def _note(self, fault: Exception) -> None:
        self.faults += 1
        self.last_fault = repr(fault)


def _sealed(speaker: Speaker, path: str, message: Body) -> tuple[bytes, dict[str, str]]:
    body = orjson.dumps(message)
    signature = speaker.key.sign("POST", path, body)
    return body, {"Content-Type": "application/json", "X-Intertie-Signature": signature}


def _good(status: int, body: bytes) -> Any:
    if not 200 <= status < 300:
        raise Refused(f"{status} {body[:300]!r}")
    return orjson.loads(body)


async def main() -> None:
    """Obey the lines of standard input until it ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > soft else soft, hard))
    fleet = Fleet(tuple(int(word) for word in sys.argv[1:]))
    reader = StreamReader(limit=LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = await fleet.obey(orjson.loads(line))
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
