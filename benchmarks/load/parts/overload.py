"""Ten times too much: what is refused, how fast, whether it recovers, and that nothing is lost."""

import asyncio
import time
from collections.abc import Iterator

import uvloop

from benchmarks.load.bench import Bench
from benchmarks.load.callers import Asked, Callers, spec
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.network import LoadNetwork
from benchmarks.load.parts.accept import submit
from benchmarks.load.parts.river import wait_until_quiet

PART = "Overload"
TIMES = 10
AT_ONCE = 500
RECOVERED_MS = 500.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield refusals, their latency, the time to recover and the count of jobs that were lost."""
    sizes = bench.sizes
    for store in bench.stores:
        with bench.network(store) as net:
            net.join(sizes.pools, sizes.slots)
            net.fleet.ask("live")
            alone = uvloop.run(submit(net, [spec()] * max(20, sizes.singles // 5)))
            wait_until_quiet(bench, net)
            rate = TIMES * alone.count(201, 202) / alone.seconds
            for who, tokens in (("all", net.tokens), ("one project", net.tokens[:1])):
                bench.say(f"overload: {rate:.0f} jobs a second from {who} on {store}")
                asked, recovered_s = uvloop.run(_overload(net, tokens, rate, sizes.overload_s))
                yield from _figures(store, who, asked, rate, recovered_s)
                wait_until_quiet(bench, net)
                lost = uvloop.run(_lost(net, list(asked.jobs())))
                net.check()
                what = f"{who}: acknowledged, and not settled in the end"
                yield Figure(PART, store, what, lost, "jobs", f"of {len(asked.jobs())}")


async def _overload(
    net: LoadNetwork, tokens: list[str], rate: float, seconds: float
) -> tuple[Asked, float]:
    """Return what was heard, and how long after the end of the flood a job is answered soon."""
    flood = Callers(net.ports, tokens, AT_ONCE)
    asked = await flood.pour(spec, rate, seconds)
    flood.doors.close()
    begun = time.monotonic()
    quiet = Callers(net.ports, net.tokens[-1:], 1)
    while True:
        each = await quiet.submit([spec()])
        if each.count(201) and each.took_ms[0] < RECOVERED_MS:
            break
        await asyncio.sleep(0.1)
    quiet.doors.close()
    return asked, time.monotonic() - begun


def _figures(
    store: str, who: str, asked: Asked, rate: float, recovered_s: float
) -> Iterator[Figure]:
    def row(what: str, value: float, unit: str, note: str = "") -> Figure:
        return Figure(PART, store, f"{who}: {what}", value, unit, note)

    yield row("wanted", rate, "a second", f"{TIMES} times what is accepted")
    heard = len(asked.replies)
    yield row("asked", (heard + asked.broken) / asked.seconds, "a second")
    accepted = asked.count(201, 202)
    note = f"{asked.count(202)} of {accepted} with 202: kept and decided later"
    yield row("accepted", accepted / asked.seconds, "a second", note)
    for status in (429, 503):
        answers = [reply for reply in asked.replies if reply.status == status]
        told = sum("retry-after" in reply.headers for reply in answers)
        yield row(f"answered {status}", len(answers), "answers", f"{told} with Retry-After")
    others = sorted({reply.status for reply in asked.replies} - {201, 202, 429, 503})
    count = heard - asked.count(201, 202, 429, 503) + asked.broken
    yield row("answered otherwise or cut off", count, "answers", f"{others or ''}")
    pairs = list(zip(asked.took_ms, asked.replies, strict=True))
    for what, statuses in (("a refusal", (429, 503)), ("an acceptance", (201, 202))):
        took_ms = [took for took, reply in pairs if reply.status in statuses]
        for name, share in (("median", 0.5), ("p99", 0.99)):
            yield row(f"{what}, {name}", percentile(took_ms, share), "ms")
    soon = f"answered within {RECOVERED_MS:.0f} ms after the flood"
    yield row(soon, recovered_s, "s later")


async def _lost(net: LoadNetwork, jobs: list[str]) -> int:
    """Return how many acknowledged jobs are not settled, asking for each of them."""
    callers = Callers(net.ports, [net.operator_token], 16)
    left, lost = iter(jobs), 0

    async def one() -> None:
        nonlocal lost
        for job in left:
            lost += (await callers.get(f"/v1/jobs/{job}")).get("state") != "settled"

    await asyncio.gather(*(one() for _ in range(16)))
    callers.doors.close()
    return lost
