"""The river with the real agent program, journal and all, on the fake engine."""

import time
from collections.abc import Iterator

from benchmarks.load.bench import Bench
from benchmarks.load.callers import spec
from benchmarks.load.figures import Figure
from benchmarks.load.parts.river import flow

PART = "The real agent program"
AGENTS = 2
PATIENCE_S = 300.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield tasks a second from the first submission to the last one settled."""
    sizes = bench.sizes
    for store in bench.stores:
        with bench.network(store) as net:
            bench.say(f"real agents: {AGENTS} join on {store}, each measures its machine first")
            for _ in range(AGENTS):
                net.add_real_agent(min(256, sizes.slots))
                ends = time.monotonic() + PATIENCE_S
                while net.online() < len(net.processes["agents"]):
                    assert time.monotonic() < ends, net.logs[-1].tail()
                    time.sleep(0.2)
            count = sizes.river_singles
            bench.say(f"real agents: one array of {count} tasks on {store}")
            yield from flow(bench, net, PART, [spec(tasks=count)], f"tasks, {AGENTS} agents")
