"""A small HTTP client on asyncio: it must cost little beside the door that is measured."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import orjson


class Broken(Exception):
    """The connection ended before an answer came."""


@dataclass(frozen=True)
class Reply:
    """One answer: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as plain data."""
        return orjson.loads(self.body)


class Connection(asyncio.Protocol):
    """One kept-alive connection; one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.is_open = False

    async def ask(self, request: bytes) -> Reply:
        """Send a whole request and return its answer; raise Broken where none comes."""
        if not self.is_open or self._transport is None:
            raise Broken
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_open = cast(asyncio.Transport, transport), True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Broken())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        reply = Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))
        if self._headers.get("connection", "").lower() == "close":
            self.is_open = False
        self._parser = httptools.HttpResponseParser(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(reply)


@dataclass
class Doors:
    """Connections to one or more doors, used in turn and kept; at most `most` at once."""

    ports: tuple[int, ...]
    most: int
    _idle: list[list[Connection]] = field(default_factory=list)
    _turn: int = 0

    def __post_init__(self) -> None:
        self._idle = [[] for _ in self.ports]
        self._room = asyncio.Semaphore(self.most)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Reply:
        """Return the answer of one exchange; a connection that an idle door closed is replaced."""
        async with self._room:
            self._turn += 1
            door = self._turn % len(self.ports)
            request = _written(method, path, headers, body)
            while self._idle[door]:
                kept = self._idle[door].pop()
                if kept.is_open:
                    with suppress(Broken):  # closed as it was taken: all we ask may be repeated
                        return await self._on(kept, door, request)
            return await self._on(await connect(self.ports[door]), door, request)

    def close(self) -> None:
        for kept in self._idle:
            while kept:
                kept.pop().close()

    async def _on(self, kept: Connection, door: int, request: bytes) -> Reply:
        reply = await kept.ask(request)
        if kept.is_open:
            self._idle[door].append(kept)
        else:
            kept.close()
        return reply


async def connect(port: int) -> Connection:
    """Return a connection to a door of this machine; a full queue of connections is waited for."""
    loop = asyncio.get_running_loop()
    for wait_s in (0.1, 0.3, 1.0, 3.0):
        try:
            return (await loop.create_connection(Connection, "127.0.0.1", port))[1]
        except OSError:
            await asyncio.sleep(wait_s)
    return (await loop.create_connection(Connection, "127.0.0.1", port))[1]


def _written(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
