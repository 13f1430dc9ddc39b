"""What stands between an agent and the doors: it passes on whole requests, and sometimes does not.

Messages of each agent are counted; at the planned counts one is dropped before or after the door
has seen it, delayed, held until a later one has overtaken it, sent twice, or sent once more much
later; or the line is cut for a while.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from tests.faults.plan import Fault

LATER = 8  # so many messages after it, one is sent again
HOLD_S = 1.0
UPSTREAM_S = 60.0


class Loop:
    """The event loop that all proxies of this process share, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine gives, from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Proxy:
    """The way of one agent to the doors; `doors` gives their ports as they are at the moment."""

    def __init__(
        self, loop: Loop, host: str, doors: Callable[[], list[int]], faults: list[Fault]
    ) -> None:
        self.messages = 0
        self.met: list[Fault] = []
        self.is_armed = False
        self._faults = {fault.at: fault for fault in faults}
        self._doors = doors
        self._cut_until = 0.0
        self._open: set[asyncio.Task[None]] = set()
        self._repeats: list[tuple[int, bytes]] = []
        self._passed: asyncio.Event
        self._loop = loop
        self._server: asyncio.Server = loop.do(self._listen(host))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self, seconds: float) -> None:
        """Break every connection, and take none for so long."""
        self._loop.do(self._cut(seconds))

    def heal(self) -> None:
        """Pass on everything from now on."""
        self.is_armed = False
        self._cut_until = 0.0

    def close(self) -> None:
        self._loop.do(self._close())

    async def _listen(self, host: str) -> asyncio.Server:
        self._passed = asyncio.Event()
        return await asyncio.start_server(self._serve, host, 0)

    async def _close(self) -> None:
        self._server.close()
        self._cut_until = math.inf  # whoever misses being cancelled ends at its next look
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while not self.is_cut():
                request = await _message(reader)
                answer = await self._pass_on(request)
                if not answer or self.is_cut():
                    return
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError):
            return
        finally:
            self._open.discard(task)
            writer.close()

    async def _pass_on(self, request: bytes) -> bytes:
        """Return the door's answer; nothing where the agent gets none."""
        self.messages += 1
        fault = self._faults.get(self.messages) if self.is_armed else None
        await self._repeat()
        if fault is None:
            return await self._ask(request)
        self.met.append(fault)
        if fault.what == "cut":
            await self._cut(fault.seconds)
            return b""
        if fault.what == "drop_request":
            return b""
        if fault.what == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.what == "hold":
            self._passed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._passed.wait(), HOLD_S)
        if fault.what == "again_later":
            self._repeats.append((self.messages + LATER, request))
        answer = await self._ask(request)
        if fault.what == "twice":
            answer = await self._ask(request)
        return b"" if fault.what == "drop_answer" else answer

    async def _repeat(self) -> None:
        due = [each for each in self._repeats if self.messages >= each[0]]
        self._repeats = [each for each in self._repeats if each not in due]
        for _, request in due:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._ask(request)

    async def _ask(self, request: bytes) -> bytes:
        """Ask the doors in turn until one takes the connection."""
        ports = self._doors()
        first = self.messages % max(1, len(ports))
        for port in [*ports[first:], *ports[:first]]:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            try:
                writer.write(request)
                await writer.drain()
                is_head = request.startswith(b"HEAD ")
                answer = await asyncio.wait_for(_message(reader, is_head), UPSTREAM_S)
            finally:
                writer.close()
            self._passed.set()
            return answer
        return b""

    async def _cut(self, seconds: float) -> None:
        self._cut_until = time.monotonic() + seconds
        here = asyncio.current_task()
        for task in self._open:
            if task is not here:
                task.cancel()

    def is_cut(self) -> bool:
        return time.monotonic() < self._cut_until


async def _message(reader: asyncio.StreamReader, is_bare: bool = False) -> bytes:
    """Return one HTTP message as it came; `is_bare` if it has a length but no body."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    has_no_body = is_bare or head.split(b" ", 2)[1][:3] in (b"204", b"304")
    if has_no_body:
        return head
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        return head + await _chunks(reader)
    return head + await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(parts)
