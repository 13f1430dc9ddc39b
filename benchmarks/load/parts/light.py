"""How long a job waits from the request to its lease when there is little else to do."""

from collections.abc import Iterator

import uvloop

from benchmarks.load.bench import Bench
from benchmarks.load.callers import spec
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.parts.accept import submit
from benchmarks.load.parts.river import pour, wait_until_quiet

PART = "Light load"
RATE = 5.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the times from sending the request to the agent's reading of the lease."""
    for store in bench.stores:
        with bench.network(store) as net:
            net.join(4, 64)
            net.fleet.ask("live")
            first = uvloop.run(submit(net, [spec(tasks=2)]))
            took_ms = first.took_ms[0]
            yield Figure(PART, store, "the first array after the start → answer", took_ms, "ms")
            wait_until_quiet(bench, net)
            count = bench.sizes.light_jobs
            bench.say(f"light: {count} jobs, {RATE:.0f} a second, on {store}")
            asked = uvloop.run(pour(net, RATE, count / RATE))
            wait_until_quiet(bench, net)
            arrivals = net.fleet.ask("count", arrivals=True)["arrivals"]
            to_lease = [(arrivals[job] - at) / 1e6 for job, at in asked.jobs().items()]
            assert len(to_lease) == len(asked.took_ms), "every job was acknowledged"
            note = f"{len(to_lease)} jobs, {RATE:.0f} a second"
            for what, values in (
                ("submit → lease at the agent", to_lease),
                ("submit → answer", asked.took_ms),
            ):
                for name, share in (("median", 0.5), ("p99", 0.99)):
                    value = percentile(values, share)
                    yield Figure(PART, store, f"{what}, {name}", value, "ms", note)
