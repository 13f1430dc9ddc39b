"""What many live jobs cost: the decider's memory, and the time of a round's decision."""

from collections.abc import Iterator

import uvloop

from benchmarks.load.bench import Bench, Costs
from benchmarks.load.callers import Spec, spec
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.network import LoadNetwork
from benchmarks.load.parts.accept import AT_ONCE, submit
from benchmarks.load.parts.river import pour

PART = "Live jobs"
SLOTS = 64
WORK_MS = 2_000
RATE = 5.0
ARRAY_MAX = 5_000


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield memory, decision time and latency while so many tasks wait, and some start and end."""
    for store in bench.stores:
        with bench.network(store) as net:
            net.join(4, SLOTS)
            net.fleet.ask("live")
            empty = net.resident_mib("decider")
            yield Figure(PART, store, "decider's memory, empty", empty, "MiB")
            live = 0
            for wanted in bench.sizes.live:
                each = min(ARRAY_MAX, wanted // 10)
                fed = [spec(WORK_MS, tasks=each)] * ((wanted - live) // each)
                bench.say(f"live: {wanted} live tasks on {store}")
                _feed(net, fed)
                live += len(fed) * each
                yield from _at(bench, net, f"{live} live")
            if bench.sizes.live_single:
                count = bench.sizes.live_single
                bench.say(f"live: {count} live jobs of one task more on {store}")
                _feed(net, [spec(WORK_MS)] * count)
                yield from _at(bench, net, f"{live} live, {count} more jobs of one task")


def _feed(net: LoadNetwork, fed: list[Spec]) -> None:
    asked = uvloop.run(submit(net, fed, at_once=2 if len(fed) < 100 else AT_ONCE))
    assert asked.count(201, 202) == len(fed), asked.replies[-1]


def _at(bench: Bench, net: LoadNetwork, of: str) -> Iterator[Figure]:
    last = net.rounds(0)[-1][0]
    costs, before = Costs(net), net.fleet.ask("count")["ended"]
    asked = uvloop.run(pour(net, RATE, bench.sizes.live_s))
    ended = net.fleet.ask("count")["ended"] - before
    rounds = net.rounds(last)
    note = f"{len(rounds) / asked.seconds:.0f} rounds and {ended / asked.seconds:.0f} ends a second"
    memory = net.resident_mib("decider")
    yield Figure(PART, net.on, f"{of}: decider's memory", memory, "MiB", note)
    took_ms = [row[2] / 1000 for row in rounds]
    for name, share in (("median", 0.5), ("p99", 0.99)):
        decision = percentile(took_ms, share)
        yield Figure(PART, net.on, f"{of}: a round's decision, {name}", decision, "ms")
        answer = percentile(asked.took_ms, share)
        yield Figure(PART, net.on, f"{of}: submit → answer, {name}", answer, "ms")
    decider = next(f for f in costs.figures(PART, of, 1) if "decider" in f.what)
    yield Figure(PART, net.on, f"{of}: decider", decider.value / 10 / asked.seconds, "% of a core")
