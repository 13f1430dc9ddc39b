"""How many jobs a second are accepted: acknowledged over HTTP, and on disk."""

import asyncio
from collections.abc import Iterator

import uvloop

from benchmarks.load.bench import Bench, Costs
from benchmarks.load.callers import Asked, Callers, Spec, spec
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.network import LoadNetwork

PART = "Accepted"
AT_ONCE = 64


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the rates of single submissions and of arrays; no agent takes the jobs."""
    for store in bench.stores:
        with bench.network(store) as net:
            net.join(1, 1)
            bench.say(f"accept: {bench.sizes.singles} single jobs on {store}")
            costs = Costs(net)
            asked = uvloop.run(submit(net, [spec() for _ in range(bench.sizes.singles)]))
            accepted = asked.count(201, 202)
            yield from _figures(net, asked, "single jobs", accepted)
            yield from costs.figures(PART, "single job", accepted)
            each = bench.sizes.array_tasks
            bench.say(f"accept: {bench.sizes.arrays} arrays of {each} tasks on {store}")
            costs = Costs(net)
            arrays = [spec(tasks=each) for _ in range(bench.sizes.arrays)]
            asked = uvloop.run(submit(net, arrays, at_once=4))
            tasks = asked.count(201, 202) * each
            yield from _figures(net, asked, f"tasks in arrays of {each}", tasks)
            yield from costs.figures(PART, "task in an array", tasks)
            net.check()


async def submit(net: LoadNetwork, specs: list[Spec], at_once: int = AT_ONCE) -> Asked:
    """Return what callers heard who submit all of these."""
    callers = Callers(net.ports, net.tokens, at_once)
    asked = await callers.submit(specs)
    callers.doors.close()
    await asyncio.sleep(0)
    return asked


def _figures(net: LoadNetwork, asked: Asked, what: str, count: int) -> Iterator[Figure]:
    refused = len(asked.replies) - asked.count(201, 202)
    sorts = sorted({reply.status for reply in asked.replies})
    note = f"statuses {sorts}; {refused} refused, {asked.broken} broken"
    yield Figure(PART, net.on, f"{what} accepted", count / asked.seconds, "a second", note)
    for name, share in (("median", 0.5), ("p99", 0.99)):
        value = percentile(asked.took_ms, share)
        yield Figure(PART, net.on, f"{what}: answer, {name}", value, "ms")
