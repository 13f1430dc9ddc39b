"""The network of one seed: its processes, what is planned for them, and their healing."""

import heapq
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from intertie.agent.owner import reclaim, release
from tests.faults.network import Ground, agent_settings
from tests.faults.nursery import Nursery
from tests.faults.part import KILLED, Counts
from tests.faults.places import Disk, Link
from tests.faults.plan import Fault, Plan
from tests.faults.proxy import Loop, Proxy

AGAIN_S = 0.3  # after an end that was not planned, as a supervisor would
UNPLANNED_MAX = 15
FENCED_OUT, BUSY = 3, 4
IN_PART = ("kill", "pause", "clock")


@dataclass
class Part:
    """One role, and every process that plays it now."""

    role: str
    pids: set[int] = field(default_factory=set)
    is_due: bool = False


class Stage:
    """Starts the parts of a plan, has its faults happen, and heals everything in the end."""

    def __init__(self, plan: Plan, ground: Ground, nursery: Nursery, loop: Loop) -> None:
        self.plan, self.ground, self.nursery = plan, ground, nursery
        self.counts = Counts(ground.folder / "counts")
        self.parts = {role: Part(role) for role in plan.parts}
        self.ports = {door: _free_port() for door in plan.doors}
        self.met: list[Fault] = []
        self.unplanned: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._is_healing = False
        kinds = ("double", "restart", "link", "disk")
        self._triggers = [f for role in plan.parts for f in plan.of(role, *kinds)]
        self._triggers += plan.reclaims
        broken = {(f.kind, f.role) for f in plan.faults}
        self.disks = {
            role: Disk(ground.agent_folder(role) if role in plan.agents else ground.data)
            for kind, role in sorted(broken)
            if kind == "disk"
        }
        self.links = {role: Link() for kind, role in sorted(broken) if kind == "link"}
        self.proxies = {
            agent: Proxy(
                loop,
                self.links[agent].address if agent in self.links else "127.0.0.1",
                self.door_ports,
                plan.of(agent, "message"),
            )
            for agent in plan.agents
        }

    def door_ports(self) -> list[int]:
        return list(self.ports.values())

    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.door_ports()]

    def start_doors(self) -> None:
        """Start deciders and doors."""
        for role in (*self.plan.deciders, *self.plan.doors):
            self._start(role)

    def start_agents(self, tokens: dict[str, str], **settings: object) -> None:
        """Start every agent with its enrolment token, and what else its owner says."""
        for agent in self.plan.agents:
            self._prepare_agent(agent, tokens[agent], settings)
            self._start(agent)

    def arm(self, is_armed: bool) -> None:
        """Let faults happen from now on, or no more."""
        self.counts.arm(is_armed)
        for agent, proxy in self.proxies.items():
            proxy.is_armed = is_armed
            armed = self.ground.agent_folder(agent) / "armed"
            armed.touch() if is_armed else armed.unlink(missing_ok=True)

    def tick(self) -> None:
        """Do what has become due: wake, start again, break, mend."""
        for part in self.parts.values():
            if self.starts[part.role]:
                self._follow(part)
        self._wake_shims()
        for fault in list(self._triggers):
            if self.counts.is_armed and self.counts.of(fault.role) >= fault.at:
                self._triggers.remove(fault)
                self.met.append(fault)
                self._break(fault)
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def is_breaking(self) -> bool:
        """Return whether something that was broken waits to be mended."""
        return bool(self._due) or any(proxy.is_cut() for proxy in self.proxies.values())

    def heal(self) -> None:
        """End every fault: what sleeps wakes, what is gone starts, what is cut is joined."""
        self.arm(False)
        self._is_healing = True
        clocks = [fault for fault in self.plan.faults if fault.kind == "clock"]
        self.met += [fault for fault in clocks if self.counts.of(fault.role) >= fault.at]
        self._triggers.clear()
        for _ in range(len(self._due)):
            heapq.heappop(self._due)[2]()
        for proxy in self.proxies.values():
            proxy.heal()
            self.met += proxy.met
        self.tick()

    def close(self) -> None:
        """End every process of the network and give back links and disks."""
        for part in self.parts.values():
            for pid in part.pids:
                self.nursery.send(pid, signal.SIGKILL)
        for proxy in self.proxies.values():
            proxy.close()
        for link in self.links.values():
            link.remove()

    def remove_disks(self) -> None:
        for disk in self.disks.values():
            disk.remove()

    def _start(self, role: str) -> None:
        part = self.parts[role]
        part.is_due = False
        own = self.plan.of(role, *IN_PART)
        link = self.links.get(role)
        told = {
            "role": role,
            "marker": str(self.ground.folder),
            "log": str(self.ground.folder / f"{role}.log"),
            "counts": str(self.ground.folder / "counts"),
            "faults": [[f.at, f.what, f.seconds] for f in own],
            "data": str(self.ground.data),
            "database": self.ground.database,
            "port": self.ports.get(role, 0),
            "settings": str(self.ground.agent_folder(role) / "agent.toml"),
            "namespace": link.namespace if link else "",
        }
        part.pids.add(self.nursery.start(told))
        self.starts[role] += 1

    def _prepare_agent(self, agent: str, token: str, settings: dict[str, object]) -> None:
        proxy, folder = self.proxies[agent], self.ground.agent_folder(agent)
        host = self.links[agent].address if agent in self.links else "127.0.0.1"
        agent_settings(folder, agent, f"http://{host}:{proxy.port}", token, **settings)
        shims = [[f.nth, f.at, f.what, f.seconds] for f in self.plan.of(agent, "shim")]
        (folder / "shims.json").write_text(json.dumps(shims))

    def _follow(self, part: Part) -> None:
        """See what became of each process of a part."""
        for pid in list(part.pids):
            for what, code in self.nursery.news(pid):
                if what == "stopped":
                    self._sleep(part, pid)
                else:
                    part.pids.discard(pid)
                    self._ended(part, pid, code)
        if not part.pids and (self._is_healing or not part.is_due):
            self._start(part.role)

    def _sleep(self, part: Part, pid: int) -> None:
        fault = self._met(part.role, pid)
        if fault is not None:
            self.met.append(fault)
            self._later(fault.seconds, lambda: self.nursery.send(pid, signal.SIGCONT))

    def _ended(self, part: Part, pid: int, code: int) -> None:
        delay_s = AGAIN_S
        fault = self._met(part.role, pid)
        if code == KILLED and fault is not None:
            self.met.append(fault)
            delay_s = fault.seconds
        elif code not in (FENCED_OUT, BUSY) and not part.pids:
            self.unplanned[f"{part.role} ended with {code}"] += 1
            assert self.unplanned.total() < UNPLANNED_MAX, self._last_words(part.role)
        if not part.pids:
            part.is_due = True
            self._later(delay_s, lambda: None if part.pids else self._start(part.role))

    def _last_words(self, role: str) -> str:
        log = self.ground.folder / f"{role}.log"
        return f"{role} cannot live:\n{log.read_text(errors='replace')[-2000:]}"

    def _met(self, role: str, pid: int) -> Fault | None:
        """Return the fault that a process says it has come to."""
        with suppress(OSError, ValueError):
            at = int((self.ground.folder / f"met-{pid}").read_text())
            return next((f for f in self.plan.of(role, *IN_PART) if f.at == at), None)
        return None

    def _break(self, fault: Fault) -> None:
        if fault.kind == "double":
            self._double(fault.role)
        elif fault.kind == "restart":
            assert self.ground.server is not None
            how = signal.SIGINT if fault.what == "fast" else signal.SIGQUIT
            self.ground.server.stop(how)
            self.ground.server.start()
        elif fault.kind == "link":
            link = self.links[fault.role]
            link.set(is_up=False)
            self._later(fault.seconds, lambda: link.set(is_up=True))
        elif fault.kind == "disk":
            disk = self.disks[fault.role]
            disk.fill()
            self._later(fault.seconds, disk.free)
        elif fault.kind == "reclaim":
            self._reclaim(fault)

    def _reclaim(self, fault: Fault) -> None:
        """Have the owner take everything back for a while; who finds the disk full tries again."""
        folder = self.ground.agent_folder(fault.role)
        try:
            reclaim(folder, 0)
        except OSError:
            self._later(0.1, lambda: self._reclaim(fault))
        else:
            self._later(fault.seconds, lambda: release(folder))

    def _double(self, role: str) -> None:
        """Start a second process of a role: on a door's port, in an agent's folder, to decide."""
        self._start(role)

    def _wake_shims(self) -> None:
        for agent in self.plan.agents:
            for path in (self.ground.agent_folder(agent) / "failed").glob("*"):
                with suppress(ValueError):
                    what, seconds = json.loads(path.read_text())
                    path.unlink()
                    self.met += [f for f in self.plan.of(agent, "shim") if f.what == what][:1]
                    pid = int(path.name)
                    if what == "pause":
                        self._later(seconds, lambda pid=pid: _wake(pid))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), act))


def _wake(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
