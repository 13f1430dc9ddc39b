"""What this machine allows: commits on this disk, statements, bare exchanges, signatures."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert

from benchmarks.load.bench import Bench
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.http import Doors
from intertie.control.bootstrap import open_network
from intertie.store import tables

PART = "Limits of this machine"
BATCH = 200


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield what no network on this machine could exceed."""
    seconds = bench.sizes.limits_s
    bench.say("limits: disk, signatures")
    yield Figure(PART, "disk", "writes of 4 KiB, each with fdatasync", _syncs(seconds), "a second")
    key, body = Ed25519PrivateKey.generate(), b"x" * 300
    signed, public = key.sign(body), key.public_key()
    checked = _rate(lambda: public.verify(signed, body), seconds / 3)
    yield Figure(PART, "one core", "signatures checked", checked, "a second")
    for store in bench.stores:
        bench.say(f"limits: statements on {store}")
        yield from _statements(bench, store)
        with bench.network(store) as net:
            bench.say(f"limits: bare exchanges on {store}")
            took_ms, elapsed_s = uvloop.run(_healths(net.ports, seconds))
            rate = len(took_ms) / elapsed_s
            note = f"{len(net.ports)} doors, 16 at once"
            yield Figure(PART, store, "GET /v1/health", rate, "a second", note)
            median = percentile(took_ms, 0.5)
            yield Figure(PART, store, "GET /v1/health, median", median, "ms", note)


def _syncs(seconds: float) -> float:
    with tempfile.TemporaryDirectory(prefix="intertie-load-") as folder:
        file = os.open(Path(folder) / "file", os.O_WRONLY | os.O_CREAT)

        def once() -> None:
            os.write(file, b"x" * 4096)
            os.fdatasync(file)

        rate = _rate(once, seconds)
        os.close(file)
    return rate


def _statements(bench: Bench, store: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="intertie-load-") as folder:
        url = f"sqlite:///{folder}/limits.sqlite"
        if store == "postgresql":
            url = bench.server().make(f"limits{time.monotonic_ns()}")
        engine = open_network(url)
        for rows in (1, BATCH):
            commits = _rate(partial(_append, engine, rows), bench.sizes.limits_s)
            what = f"rows of the inbox, {rows} to a commit, one connection"
            yield Figure(PART, store, what, commits * rows, "a second")
        engine.dispose()


def _append(engine: Engine, rows: int) -> None:
    row = {"kind": "limits", "actor": 0, "at": 0, "body": '{"x": "%s"}' % ("y" * 600)}
    row |= {"body_hash": "z" * 64}
    with engine.begin() as connection:
        connection.execute(insert(tables.inbox), [row] * rows)


async def _healths(ports: tuple[int, ...], seconds: float) -> tuple[list[float], float]:
    doors, took_ms = Doors(ports, 16), []
    begun = time.monotonic()

    async def one() -> None:
        while time.monotonic() < begun + seconds:
            sent = time.monotonic()
            reply = await doors.ask("GET", "/v1/health", {})
            assert reply.status == 200, reply
            took_ms.append((time.monotonic() - sent) * 1000)

    await asyncio.gather(*(one() for _ in range(16)))
    elapsed_s = time.monotonic() - begun
    doors.close()
    return took_ms, elapsed_s


def _rate(act: Callable[[], object], seconds: float) -> float:
    count, begun = 0, time.monotonic()
    while time.monotonic() < begun + seconds or not count:
        act()
        count += 1
    return count / (time.monotonic() - begun)
