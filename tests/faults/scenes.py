"""A real network for one test: the parts of the fault harness without any planned fault."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.client import Intertie
from intertie.control.leadership import led
from intertie.model.policy import Policy
from intertie.store.database import open_database
from tests.faults.checks import Life, processes_of, read_trace
from tests.faults.network import (
    FILE,
    POLICY,
    Ground,
    make_network,
    make_parties,
    prepare_once,
    wait_until_ready,
)
from tests.faults.plan import AGENTS, DECIDERS, DOORS, Plan
from tests.faults.seeds import Slot
from tests.faults.stage import Stage
from tests.faults.users import SCRIPT, Caller

PATIENCE_S = 90.0


@dataclass
class Scene:
    """One running network, and a user of it."""

    ground: Ground
    stage: Stage
    tokens: dict[str, str]
    operator: Caller
    clients: list[Intertie] = field(default_factory=list)

    def client(self, name: str = "alpha") -> Intertie:
        """Return a plain connection to the first door: what it cannot do, its user sees."""
        self.clients.append(Intertie(self.stage.urls()[0], self.tokens[name]))
        return self.clients[-1]

    def leader(self) -> str:
        """Return the role that decides, once one does."""
        engine = open_database(self.ground.database)
        try:
            return self.until(lambda: self._leading(engine), "somebody leads")
        finally:
            engine.dispose()

    def pid(self, role: str) -> int:
        [pid] = self.stage.parts[role].pids
        return pid

    def send(self, role: str, number: signal.Signals) -> None:
        """Send a signal to the process of a role."""
        self.stage.nursery.send(self.pid(role), number)

    def until(self, given: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Return what a question gives once it gives something; fail when it does not in time."""
        ends = time.monotonic() + patience_s
        while True:
            if found := given():
                return found
            assert time.monotonic() < ends, f"{what}: not in {patience_s:.0f} s"
            time.sleep(0.02)

    def lives(self) -> dict[tuple[str, int, int], Life]:
        return read_trace(self.ground.trace)

    def _leading(self, engine: Any) -> str:
        with engine.connect().execution_options(is_read=True) as connection:
            now = led(connection)
        pid = int(now.holder.split("-")[-2]) if now.left_ms else 0
        return next((r for r, part in self.stage.parts.items() if pid in part.pids), "")


@contextmanager
def scene(
    folder: Path,
    slot: Slot,
    database: str = "postgresql",
    agents: int = 2,
    deciders: int = 1,
    doors: int = 1,
    policy: Policy = POLICY,
    **settings: object,
) -> Iterator[Scene]:
    """Yield a network whose agents have joined; end all of it afterwards, and what it ran."""
    prepare_once(folder)
    place = folder / "network"
    place.mkdir()
    server = slot.server if database == "postgresql" else None
    url = server.make() if server else f"sqlite:///{place / 'data' / FILE}"
    ground = Ground(place, url, server)
    names = AGENTS[:agents], DOORS[:doors], DECIDERS[:deciders]
    stage = Stage(Plan(0, database, *names, jobs=(), faults=(), reclaims=()), ground, *slot.parts)
    token = make_network(ground, policy)
    operator = Caller(stage.urls, token)
    made = Scene(ground, stage, {"operator": token}, operator)
    try:
        stage.start_doors()
        for each in stage.urls():
            wait_until_ready(each)
        made.tokens |= operator(lambda network: make_parties(network, AGENTS[:agents]))
        stage.start_agents(made.tokens, **settings)
        made.until(lambda: len(list(operator(Intertie.offers))) == agents, "agents join")
        yield made
    finally:
        operator.close()
        for client in made.clients:
            client.close()
        stage.close()
        _end(place)
        if server:
            server.drop(url)


def job(scene_: Scene, steps: int, tasks: int = 1, **more: object) -> dict[str, Any]:
    """Return the spec of a job that writes a line each 0.1 s for `steps` of them."""
    told = {
        "TRACE": str(scene_.ground.trace),
        "STEPS": str(steps),
        "SAVES": "",
        "CODE": "0",
        "INTERTIE_FAULTS": str(scene_.ground.folder),
    }
    spec: dict[str, Any] = {
        "name": "job",
        "script": SCRIPT,
        "environment": told,
        "resources": {"cpus": 1, "memory": "16MiB", "disk": "16MiB"},
        "time_limit": "5m",
        "expected": 1,
    }
    return spec | ({"array": {"count": tasks}} if tasks > 1 else {}) | more


def _end(folder: Path) -> None:
    """End the jobs and shims that a test left behind, by their own numbers."""
    ends = time.monotonic() + PATIENCE_S
    while (left := processes_of(folder)) and time.monotonic() < ends:
        for each in left:
            with suppress(ProcessLookupError):
                os.kill(int(each.split()[0]), signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)
