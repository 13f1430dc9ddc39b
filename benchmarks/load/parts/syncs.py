"""How many exchanges with agents a second, when they hurry and when they keep their pace."""

import time
from collections.abc import Iterator

import uvloop

from benchmarks.load.bench import Bench, Costs
from benchmarks.load.figures import Figure, percentile
from benchmarks.load.network import LoadNetwork
from benchmarks.load.parts.river import pour
from intertie.model.policy import Policy

PART = "Agents"
AT_ONCE = 64
RATE = 2.0
# Ten thousand agents on two cores: a session holds a minute, so that each speaks twice in one.
POLICY = Policy(renew_for_s=60, syncs_per_s_max=350)
SECOND = "a second"


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield exchanges a second and their latency; then whether all agents are kept online."""
    for store in bench.stores:
        with bench.network(store, POLICY) as net:
            joined = 0
            for wanted in bench.sizes.agents:
                bench.say(f"agents: {wanted} join on {store}")
                seconds = net.join(wanted - joined, wanted - joined)
                rate = (wanted - joined) / seconds
                joined = wanted
                yield Figure(PART, store, f"{wanted} agents: enrolled, session open", rate, SECOND)
                yield from _storm(bench, net, wanted)
            bench.say(f"agents: {joined} keep their pace on {store}")
            yield from _steady(bench, net, joined)


def _storm(bench: Bench, net: LoadNetwork, agents: int) -> Iterator[Figure]:
    net.fleet.ask("storm", at_once=AT_ONCE, seconds=min(1.0, bench.sizes.storm_s))
    costs = Costs(net)
    told = net.fleet.ask("storm", at_once=AT_ONCE, seconds=bench.sizes.storm_s)
    count = len(told["took_ms"])
    of = f"{agents} agents, {min(AT_ONCE, agents)} at once"
    yield Figure(PART, net.on, f"{of}: exchanges", count / told["seconds"], SECOND)
    for name, share in (("median", 0.5), ("p99", 0.99)):
        value = percentile(told["took_ms"], share)
        yield Figure(PART, net.on, f"{of}: an exchange, {name}", value, "ms")
    yield from costs.figures(PART, f"{of}, exchange", count)


def _steady(bench: Bench, net: LoadNetwork, agents: int) -> Iterator[Figure]:
    """Agents poll as they are told to; who is not heard in time would be lost."""
    net.fleet.ask("live")
    time.sleep(bench.sizes.steady_s / 2)
    costs, before = Costs(net), net.fleet.ask("count")
    beside = net.fleet.ask("storm", at_once=1, seconds=bench.sizes.steady_s)
    told = net.fleet.ask("count")
    exchanges = told["exchanges"] - before["exchanges"]
    of = f"{agents} agents at the network's pace"
    used = list(costs.figures(PART, f"{of}, exchange", exchanges))
    note = f"{told['faults'] - before['faults']} faults {told['last_fault'][:60]}"
    yield Figure(PART, net.on, f"{of}: online", net.online(), "agents", note)
    rate = (exchanges - len(beside["took_ms"])) / bench.sizes.steady_s
    yield Figure(PART, net.on, f"{of}: exchanges", rate, SECOND)
    yield from used
    for name, share in (("median", 0.5), ("p99", 0.99)):
        value = percentile(beside["took_ms"], share)
        yield Figure(PART, net.on, f"{of}: one more exchange beside them, {name}", value, "ms")
    asked = uvloop.run(pour(net, RATE, bench.sizes.live_s))
    for name, share in (("median", 0.5), ("p99", 0.99)):
        value = percentile(asked.took_ms, share)
        yield Figure(PART, net.on, f"{of}: submit → answer, {name}", value, "ms")
    for role in ("decider", "doors"):
        yield Figure(PART, net.on, f"{of}: memory of {role}", net.resident_mib(role), "MiB")
