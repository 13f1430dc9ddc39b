"""The provider's side: the real agent's loops, session and book on simulated time, machines, links.

Only what touches the outside is replaced: the engine, the door, the journal's disk, the clock.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from intertie.agent import attempt as agent_attempt
from intertie.agent import main as agent_main
from intertie.agent import network_clock
from intertie.agent import session as agent_session
from intertie.agent.book import Book
from intertie.agent.door import Refused, Unreachable
from intertie.agent.journal import Entry
from intertie.agent.main import Agent, Stopped
from intertie.agent.owner import Lent
from intertie.agent.policy import Guests
from intertie.agent.session import Session
from intertie.api.problems import Wrong
from intertie.control.waiting import Refused as NotGranted
from intertie.store import patience
from intertie.wire.base import Problem
from intertie.wire.sync import OpenSession, PoolBody, SessionOpened, Sync, SyncAnswer
from tests.simulation.clockwork import Clockwork, Fiber, Flag
from tests.simulation.doors import Away, Doors, Lost, status_of
from tests.simulation.faulty_store import Killed
from tests.simulation.machines import Machines

PATIENCE_MS = 15_000


class SimulatedTime:
    """What modules that wait know as `time`."""

    def __init__(self, clock: Clockwork) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        return self._clock.now / 1000

    def time(self) -> float:
        return self._clock.now / 1000

    def time_ns(self) -> int:
        return self._clock.now * 1_000_000

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(round(seconds * 1000))


class Uploads:
    """An attempt's log and files: there are none, but who sends them must reach the network."""

    def __init__(self, link: "Link", *_: object) -> None:
        self._link = link

    def send_log(self) -> None:
        if self._link.is_cut:
            raise Unreachable("cut off")

    def send_files(self, *_: object) -> list[Any]:
        self.send_log()
        return []

    def send_stable(self, *_: object) -> None:
        self.send_log()


@contextmanager
def on_simulated_time(clock: Clockwork, chance: Random) -> Iterator[None]:
    """Let the agent's modules wait by the simulated clock, and draw from the run's own chance."""
    with ExitStack() as patches:
        for module in (agent_main, agent_session, agent_attempt, network_clock, patience):
            patches.enter_context(patch.object(module, "time", SimulatedTime(clock)))
        patches.enter_context(patch.object(network_clock, "boot_ms", lambda: clock.now))
        patches.enter_context(patch.object(agent_main, "random", chance))
        patches.enter_context(patch.object(agent_attempt, "Uploads", Uploads))
        patches.enter_context(patch.object(agent_attempt.inputs, "lay_in", lambda *_: None))
        yield


class Disk:
    """A journal whose writes can kill the agent, by count; some, all or none of a write is kept."""

    def __init__(self, chance: Random) -> None:
        self.entries: list[Entry] = []
        self.path = "journal"
        self._chance = chance
        self._left = 0

    def kill_at(self, count: int) -> None:
        """Kill the agent at the `count`-th write from now; 0 is never."""
        self._left = count

    def read(self) -> list[Entry]:
        return list(self.entries)

    def rewrite(self, entries: list[Entry]) -> None:
        self.entries = list(entries)

    def append_many(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        self._left -= 1
        if self._left == 0:
            self.entries += entries[: self._chance.randrange(len(entries) + 1)]
            raise Killed
        self.entries += entries

    def close(self) -> None:
        """Nothing to let go of."""


class Carriers:
    """A fiber for each attempt's steps; an agent that dies takes them with it."""

    def __init__(self, agent: "SimulatedAgent") -> None:
        self._agent = agent
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def carry(self, name: Hashable, steps: Iterator[float]) -> None:
        self._agent.fiber(f"carry {name}", lambda: self._carry(steps))

    def hurry(self, names: Iterable[Hashable]) -> None:
        """Who is told that its attempt has changed need not hurry: it looks often."""

    def _carry(self, steps: Iterator[float]) -> None:
        clock = self._agent.site.clock
        self._count += 1
        clock.sleep(self._agent.site.chance.randrange(1, 30))
        for pause_s in steps:
            clock.sleep(round(pause_s * 1000))
        self._count -= 1


class Link:
    """The way between one agent and the doors: it loses, doubles, delays and reorders."""

    def __init__(self, clock: Clockwork, doors: Doors, pool: int, chance: Random) -> None:
        self.clock, self.doors, self.pool, self.chance = clock, doors, pool, chance
        self.is_cut = False
        self.badness = 0.0
        # Agents of the version before this one speak on some pools.
        self.protocol_max = chance.choice((1, 2, 2))
        self.done: Counter[str] = Counter()
        self._keys = 0

    def open_session(self, _agent: str, message: OpenSession) -> SessionOpened:
        message = message.model_copy(update={"protocol_max": self.protocol_max})
        self._keys += 1
        key = f"session {self.pool} {self.clock.now} {self._keys}"
        return self._exchange(lambda: self.doors.open_session(self.pool, message, key), PATIENCE_MS)

    def sync(self, _agent: str, message: Sync) -> SyncAnswer:
        patience_ms = PATIENCE_MS + message.wait_ms
        return self._exchange(lambda: self.doors.sync(self.pool, message), patience_ms)

    def _exchange(self, ask: Any, patience_ms: int) -> Any:
        """Carry one exchange; the asker waits as a fiber of its own."""
        answer: list[Any] = []
        arrived = Flag(self.clock)
        self._carry(lambda: self._ask(ask, answer, arrived), "request")
        if self._strikes("double"):
            self._carry(lambda: self._ask(ask, [], None), "request")
        arrived.wait(patience_ms / 1000)
        if not answer:
            raise Unreachable("no answer")
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    def _ask(self, ask: Any, answer: list[Any], arrived: Flag | None) -> None:
        try:
            found = ask()
        except (Away, Lost) as error:
            found = Unreachable(repr(error))
        except (Wrong, NotGranted) as error:
            status, code = status_of(error)
            found = Refused(status, Problem(type="", title=code, status=status, code=code))

        def arrive() -> None:
            if not answer:
                answer.append(found)
            if arrived is not None:
                arrived.set()

        if arrived is not None:
            self._carry(arrive, "answer")

    def _carry(self, act: Any, what: str) -> None:
        if self.is_cut or self._strikes(f"lose {what}"):
            return
        ms = self.chance.randrange(2, 40)
        if self._strikes(f"delay {what}"):
            ms += self.chance.randrange(200, 9_000)

        def deliver() -> None:
            if not self.is_cut:
                self.clock.spawn(what, act)

        self.clock.after(ms, deliver)

    def _strikes(self, what: str) -> bool:
        if not self.badness or self.chance.random() >= self.badness:
            return False
        self.done[what] += 1
        return True


class SimulatedAgent(Agent):
    """One process of the real agent. Its threads are fibers; who kills it ends them all."""

    def __init__(self, site: "Site") -> None:
        clock = site.clock
        self.site = site
        self.settings: Any = SimpleNamespace(
            grace_s=site.pool_body.terms.grace_s,
            guests=Guests(tuple(site.pool_body.terms.projects)),
            folder=Path("simulated agents have no folder"),
        )
        self.stopping: Any = Flag(clock)
        self.news: Any = Flag(clock)
        self.exit_code = 0
        self.door: Any = site.link
        self.engine: Any = site.machines
        self.facts = site.machines.facts()
        terms = site.pool_body.terms
        self.terms = Lent(terms.lent_cpus_milli, terms.lent_memory_bytes)
        self.book = Book(site.disk)  # type: ignore[arg-type]
        self.agent = site.name
        self.told: object = None
        self.too_much_since = 0.0
        self.carriers: Any = Carriers(self)
        self.fibers: list[Fiber] = []
        self.is_dead = False

    def begin(self) -> None:
        """Do what `Agent.run` does, with fibers for threads."""
        self.fiber("join", self._begin)

    def kill(self) -> None:
        """Kill the process; what runs on the machines runs on."""
        self.is_dead = True
        for fiber in self.fibers:
            fiber.kill()

    def _begin(self) -> None:
        session = Session(
            self.door, self.agent, self.book, self.engine, self._lent, self._admits, self._carry
        )
        pool = self.site.pool_body
        try:
            self._patiently(lambda: session.open(pool))
        except (Stopped, Refused):
            self.site.agent_ended(self)
            return
        self._adopt()
        for loop in (self._poll, self._tell):
            self.fiber(loop.__name__, lambda loop=loop: loop(session, pool))
        self._watch()
        self.site.agent_ended(self)

    def fiber(self, name: str, work: Any) -> None:
        def guarded() -> None:
            try:
                work()
            except Killed:
                self.site.agent_died(self)

        if not self.is_dead:
            self.fibers.append(self.site.clock.spawn(f"{self.agent} {name}", guarded))

    def _lent(self) -> Lent:
        return self._will()

    def _will(self, room: object = None) -> Lent:
        site = self.site
        share = site.lent_percent
        if share >= 100:
            return self.terms
        return Lent(self.terms.cpus_milli * share // 100, self.terms.memory_bytes * share // 100, 1)


class Site:
    """One pool: its machines, its journal's disk, its link, its owner's will, its agent if any."""

    def __init__(
        self,
        clock: Clockwork,
        name: str,
        machines: Machines,
        link: Link,
        pool_body: PoolBody,
        chance: Random,
    ) -> None:
        self.clock, self.name, self.machines, self.link = clock, name, machines, link
        self.pool_body, self.chance = pool_body, chance
        self.disk = Disk(chance)
        self.lent_percent = 100
        self.agent: SimulatedAgent | None = None
        self.deaths = 0

    def start_agent(self) -> None:
        """Start an agent; it opens a session, which fences out an earlier one."""
        if self.agent is None:
            self.agent = SimulatedAgent(self)
            self.agent.begin()

    def kill_agent(self) -> None:
        if self.agent is not None:
            self.agent.kill()
            self.agent = None
            self.deaths += 1

    def agent_died(self, agent: SimulatedAgent) -> None:
        """A write of its journal killed it; it is started again, as a service is."""
        agent.kill()
        if self.agent is agent:
            self.agent = None
            self.deaths += 1
            self.clock.after(self.chance.randrange(200, 5_000), self.start_agent)

    def agent_ended(self, agent: SimulatedAgent) -> None:
        """It left, or was fenced out; it is started again."""
        agent.kill()
        if self.agent is agent:
            self.agent = None
            self.clock.after(self.chance.randrange(1_000, 5_000), self.start_agent)
