"""What every part is given: sizes, stores, and the costs of the roles while it ran."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psutil

from benchmarks.load.figures import Figure
from benchmarks.load.network import LoadNetwork, network
from benchmarks.load.postgres import PostgresServer
from intertie.model.policy import Policy

STORES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Sizes:
    """How much each part asks for. Durations in seconds."""

    singles: int = 3_000
    arrays: int = 20
    array_tasks: int = 5_000
    river_tasks: int = 20_000
    river_array: int = 1_000
    river_singles: int = 2_000
    slots: int = 2_048
    pools: int = 16
    light_jobs: int = 200
    live: tuple[int, ...] = (1_000, 10_000, 100_000)
    live_single: int = 5_000
    live_s: float = 20.0
    agents: tuple[int, ...] = (100, 1_000, 10_000)
    storm_s: float = 10.0
    steady_s: float = 30.0
    overload_s: float = 15.0
    neighbour_jobs: int = 1_000
    limits_s: float = 3.0


QUICK = Sizes(
    singles=200,
    arrays=4,
    array_tasks=500,
    river_tasks=1_000,
    river_array=250,
    river_singles=100,
    slots=256,
    pools=4,
    light_jobs=10,
    live=(1_000,),
    live_single=0,
    live_s=3.0,
    agents=(20,),
    storm_s=2.0,
    steady_s=3.0,
    overload_s=3.0,
    neighbour_jobs=50,
    limits_s=1.0,
)
TINY = Sizes(
    singles=6,
    arrays=1,
    array_tasks=20,
    river_tasks=20,
    river_array=10,
    river_singles=4,
    slots=16,
    pools=2,
    light_jobs=2,
    live=(20,),
    live_single=2,
    live_s=1.0,
    agents=(2,),
    storm_s=0.3,
    steady_s=0.5,
    overload_s=0.5,
    neighbour_jobs=4,
    limits_s=0.1,
)


@dataclass
class Bench:
    """One run of the load table. Each part has a new network unless they are to share one."""

    sizes: Sizes
    stores: tuple[str, ...] = STORES
    doors: int = 2
    is_quiet: bool = False
    is_shared: bool = False
    _server: PostgresServer | None = None
    _shared: dict[str, LoadNetwork] = field(default_factory=dict)
    _ending: ExitStack = field(default_factory=ExitStack)

    def say(self, text: str) -> None:
        """Tell on standard error how far the run is."""
        if not self.is_quiet:
            print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def server(self) -> PostgresServer:
        """Return the throw-away PostgreSQL of this run, started when it is first asked for."""
        if self._server is None:
            self.say("PostgreSQL starts")
            self._server = PostgresServer()
            self._ending.callback(self._server.close)
        return self._server

    @contextmanager
    def network(self, store: str, policy: Policy | None = None) -> Iterator[LoadNetwork]:
        """Yield a network on a store, under the usual policy if none is given."""
        server = self.server() if store == "postgresql" else None
        if self.is_shared:
            if store not in self._shared:
                new = self._ending.enter_context(network(store, self.doors, server))
                self._shared[store] = new
            yield self._shared[store]
            return
        with network(store, self.doors, server, policy) as net:
            yield net

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()


class Costs:
    """Processor time by role between two moments, and what the rest of the machine did."""

    def __init__(self, net: LoadNetwork) -> None:
        self._net, self._at = net, time.monotonic()
        self._cpu_s, self._busy_s = net.cpu_s(), _busy_s()

    def figures(self, part: str, of: str, count: int) -> Iterator[Figure]:
        """Yield each role's processor time for one of `count`, and its share of one core."""
        seconds = time.monotonic() - self._at
        others_s = _busy_s() - self._busy_s
        for role, now_s in self._net.cpu_s().items():
            used_s = now_s - self._cpu_s[role]
            others_s -= used_s
            note = f"{used_s / seconds:.0%} of one core"
            what = f"{of}: processor time of {role}"
            yield Figure(part, self._net.on, what, used_s * 1000 / max(1, count), "ms each", note)
        what, note = f"{of}: strangers' load meanwhile", f"of {psutil.cpu_count()} cores"
        yield Figure(part, self._net.on, what, max(0.0, others_s / seconds), "cores", note)


def _busy_s() -> float:
    """Return the processor time that this whole machine has used, in seconds."""
    times = psutil.cpu_times()
    return float(sum(times[:3]) + times.irq + times.softirq)
