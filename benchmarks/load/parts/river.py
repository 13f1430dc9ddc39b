"""How many tasks a second flow from a request over HTTP to settled books."""

import asyncio
import time
from collections.abc import Iterator

import uvloop

from benchmarks.load.bench import Bench, Costs
from benchmarks.load.callers import Asked, Callers, Spec, spec
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.network import LoadNetwork
from benchmarks.load.parts.accept import AT_ONCE, submit

PART = "Through the river"
PATIENCE_S = 900.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield tasks a second from the first submission to the last one settled, books proved."""
    sizes = bench.sizes
    for store in bench.stores:
        with bench.network(store) as net:
            net.join(sizes.pools, sizes.slots)
            net.fleet.ask("live")
            uvloop.run(submit(net, [spec(tasks=10)]))
            wait_until_quiet(bench, net)
            arrays = [spec(tasks=sizes.river_array)] * (sizes.river_tasks // sizes.river_array)
            for specs, what in (
                (arrays, "tasks in arrays"),
                ([spec()] * sizes.river_singles, "single jobs"),
            ):
                bench.say(f"river: {what} on {store}")
                before = net.fleet.ask("count")
                yield from flow(bench, net, PART, specs, what)
                told = net.fleet.ask("count")
                ended = told["ended"] - before["ended"]
                count = sum(_tasks(each) for each in specs)
                assert ended >= count, f"{ended} attempts were reported for {count} tasks"
                exchanges = told["exchanges"] - before["exchanges"]
                share = f"{told['mismatches']} digests did not match"
                named = f"{what}: exchanges with agents"
                yield Figure(PART, store, named, exchanges, "in all", share)


def flow(
    bench: Bench, net: LoadNetwork, part: str, specs: list[Spec], what: str
) -> Iterator[Figure]:
    """Yield how fast these jobs are settled, what that costs, and how long rounds take."""
    count = sum(_tasks(each) for each in specs)
    costs, last = Costs(net), (net.rounds(0) or [(0, 0, 0)])[-1][0]
    begun = time.monotonic()
    asked = uvloop.run(submit(net, specs, AT_ONCE if len(specs) > 100 else 4))
    assert asked.count(201, 202) == len(specs), asked.replies[:1]
    wait_until_quiet(bench, net)
    seconds = time.monotonic() - begun
    net.check()
    note = f"{count} in {seconds:.1f} s, {len(net.rounds(last))} rounds"
    yield Figure(part, net.on, f"{what}, asked → settled", count / seconds, "a second", note)
    yield from costs.figures(part, what, count)
    took_ms = [row[2] / 1000 for row in net.rounds(last)]
    for name, share in (("median", 0.5), ("p99", 0.99)):
        value = percentile(took_ms, share)
        yield Figure(part, net.on, f"{what}: a round's decision, {name}", value, "ms")


def _tasks(each: Spec) -> int:
    return int(each.get("array", {"count": 1})["count"])


def wait_until_quiet(bench: Bench, net: LoadNetwork) -> None:
    """Return when every job is settled."""
    begun = said = time.monotonic()
    while not net.is_quiet():
        now = time.monotonic()
        assert now - begun < PATIENCE_S, f"not settled after {PATIENCE_S:.0f} s"
        if now - said > 5:
            said, told = now, net.fleet.ask("count")
            bench.say(f"  {told['ended']} ended, {told['faults']} faults {told['last_fault']}")
        time.sleep(0.1)


async def pour(
    net: LoadNetwork, rate: float, seconds: float, work_ms: int = 0, at_once: int = 64
) -> Asked:
    """Return what was heard of single jobs that were asked for at an even rate."""
    callers = Callers(net.ports, net.tokens, at_once)
    asked = await callers.pour(lambda: spec(work_ms), rate, seconds)
    callers.doors.close()
    await asyncio.sleep(0)
    return asked
