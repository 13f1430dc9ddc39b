"""One network under load: a decider, doors and a fleet, each a process, and what each costs."""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load.postgres import PostgresServer
from intertie.cli.embedded import free_port
from intertie.cli.processes import Process, python_command, wait_until_ready
from intertie.client import Intertie
from intertie.control.bootstrap import OPERATOR, make_token, open_network
from intertie.model.policy import Policy

GIB = 1 << 30
CREDIT = 1_000_000_000
# A door lets one project ask so often and no oftener, so there are several.
PROJECTS = 16
PROVIDER_AGENTS = 100


@dataclass(frozen=True)
class Fleet:
    """The fleet's process, spoken to in lines."""

    child: subprocess.Popen[bytes]

    def ask(self, do: str, **told: Any) -> Any:
        """Return the answer to one order."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps({"do": do, **told}).encode() + b"\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, "the fleet ended"
        return json.loads(line)

    def close(self) -> None:
        """End the fleet, and with it every agent."""
        with self.child:
            self.child.terminate()


@dataclass
class LoadNetwork:
    """A running network: projects that have money (`tokens`), and agents as they are joined."""

    on: str
    url: str
    database: str
    ports: tuple[int, ...]
    operator: Intertie
    operator_token: str
    tokens: list[str]
    fleet: Fleet
    folder: Path
    ending: ExitStack
    processes: dict[str, list[int]]
    logs: list[Process] = field(default_factory=list)
    providers: int = 0

    def join(self, agents: int, slots: int, nodes: int = 1) -> float:
        """Join agents that lend `slots` cores in all; return how long it took (s)."""
        providers = [self._provider() for _ in range(ceil(agents / PROVIDER_AGENTS))]
        with ThreadPoolExecutor(8) as pool:
            of = [providers[at % len(providers)] for at in range(agents)]
            tokens = list(pool.map(self._enrol_token, of))
        each = max(nodes, slots // agents)
        told = self.fleet.ask(
            "join",
            tokens=tokens,
            cpus_milli=each * 1000,
            memory_bytes=each * GIB,
            nodes=nodes,
            price_micro=1000,
        )
        return float(told["seconds"])

    def add_real_agent(self, slots: int) -> None:
        """Start the real agent program on the fake engine, lending so many cores."""
        agents = self.processes.setdefault("agents", [])
        folder = self.folder / f"agent{len(agents)}"
        folder.mkdir()
        memory = f"{slots}GiB"
        told = {"network": self.url, "folder": str(folder), "pool": folder.name}
        told |= {
            "enrol_token": self._enrol_token(self._provider()),
            "price": "0.001",
            "memory": memory,
        }
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in told.items()]
        (folder / "agent.toml").write_text("".join([*lines, f"cpus = {slots}\n"]))
        command = python_command("benchmarks.load.real_agent", str(folder / "agent.toml"))
        agent = Process(folder.name, command, folder / "log")
        agent.start()
        self.ending.callback(agent.stop)
        self.logs.append(agent)
        agents.append(agent.pid)

    def online(self) -> int:
        """Return how many pools are online."""
        pools = [pool for provider in self.operator.providers() for pool in provider.pools]
        return sum(pool.state == "online" for pool in pools)

    def rounds(self, after: int) -> list[tuple[int, int, int]]:
        """Return (number, instant, time to decide in µs) of every round after one."""
        from sqlalchemy import create_engine, text

        engine = create_engine(self.database)
        asked = text("select number, at, took_us from round where number > :after order by number")
        with engine.connect() as connection:
            found = [
                (row[0], row[1], row[2]) for row in connection.execute(asked, {"after": after})
            ]
        engine.dispose()
        return found

    def resident_mib(self, role: str) -> float:
        """Return the resident memory of a role's processes, in MiB."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.processes[role]) / 2**20

    def cpu_s(self) -> dict[str, float]:
        """Return the processor time that each role has used so far, in seconds."""
        used = {role: sum(map(_cpu_s, pids)) for role, pids in self.processes.items()}
        return used | {"callers": time.process_time()}

    def is_quiet(self) -> bool:
        """Return whether no job is held, queued, running or only ended."""
        path = "jobs?limit=1&state="
        states = ("held", "queued", "running", "ended")
        return not any(self._client().get(path + state)["items"] for state in states)

    def check(self) -> None:
        """Assert that the books prove themselves."""
        proved = self.operator.ledger_check()
        assert proved.ok, proved.faults

    def _client(self) -> Any:
        return self.operator._transport  # noqa: SLF001 – a list without its views costs least

    def _provider(self) -> str:
        self.providers += 1
        return self.operator.create_provider(f"load{self.providers}").id

    def _enrol_token(self, provider: str) -> str:
        path = f"providers/{provider}/enrol-tokens"
        return str(self._client().post(path)["enrol_token"])


@contextmanager
def network(
    on: str, doors: int, server: PostgresServer | None, policy: Policy | None = None
) -> Iterator[LoadNetwork]:
    """Yield a network on `sqlite` or `postgresql`; it is ended and removed afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="intertie-load-")))
        url = f"sqlite:///{folder / 'network.sqlite'}"
        told = []
        if server is not None:
            url = server.make(f"load{time.monotonic_ns()}")
            told = [url]
        engine = open_network(url, policy=policy)
        with engine.begin() as connection:
            token = make_token(connection, OPERATOR, 0)
        engine.dispose()
        ports = tuple(free_port() for _ in range(doors))
        part = "intertie.cli.processes"
        words = [["decide", str(folder), *told]]
        words += [["serve", str(folder), str(port), *told] for port in ports]
        started = [
            Process(each[0], python_command(part, *each), folder / f"{at}.log")
            for at, each in enumerate(words)
        ]
        for process in reversed(started):
            stack.callback(process.stop)
            process.start()
        for port in ports:
            wait_until_ready(f"http://127.0.0.1:{port}", started)
        fleet = _fleet(ports)
        stack.callback(fleet.close)
        operator = Intertie(f"http://127.0.0.1:{ports[0]}", token, timeout_s=120)
        stack.callback(operator.close)
        projects = [operator.create_project(f"load{at}", trial=CREDIT) for at in range(PROJECTS)]
        pids = {"decider": [started[0].pid], "doors": [each.pid for each in started[1:]]}
        pids |= {"fleet": [fleet.child.pid]}
        if server is not None:
            pids["postgresql"] = [server.pid]
        yield LoadNetwork(
            on=on,
            url=operator.url,
            database=url,
            ports=ports,
            operator=operator,
            operator_token=token,
            tokens=[each.token for each in projects],
            fleet=fleet,
            folder=folder,
            ending=stack,
            processes=pids,
            logs=started,
        )


def _fleet(ports: tuple[int, ...]) -> Fleet:
    command = python_command("benchmarks.load.fleet", *map(str, ports))
    return Fleet(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process and of its children, those that ended included."""
    process = psutil.Process(pid)
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return float(total)
