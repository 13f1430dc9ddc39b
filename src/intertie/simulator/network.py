"""A network on a virtual clock: inbox rows in, rounds out, fake agents that report."""

from typing import Any

from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.model.parties import PoolFacts
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.request import Request
from intertie.simulator.agent import FakeAgent
from intertie.simulator.link import Link
from intertie.simulator.recording import Recording, Round
from intertie.world.changes import Answer, Changes
from intertie.world.world import World

ROUNDS_MAX = 1_000


class SimulatedNetwork:
    """Drives the river as the live decider does.

    Rows that wait are taken, rounds follow at once while they change something, then the clock
    jumps to the next instant at which anything happens.
    """

    def __init__(self, policy: Policy | None = None, now: int = 1_000_000) -> None:
        self.world = World()
        self.policy = policy or Policy()
        self.now = now
        self.agents: dict[int, FakeAgent] = {}
        self.links: dict[int, Link] = {}
        self.recording = Recording(self.policy)
        self.answers: dict[int, Answer] = {}
        self.changes: list[Changes] = []
        self._waiting: list[InboxRow] = []
        self._next_row = 1

    def post(self, kind: str, actor: int, body: dict[str, Any]) -> int:
        """Append an inbox row at this instant and return its id."""
        row = InboxRow(self._next_row, kind, actor, self.now, body)
        self._next_row += 1
        self._waiting.append(row)
        return row.id

    def ask(self, kind: str, actor: int, body: dict[str, Any]) -> Answer:
        """Append a row, decide, and return its answer."""
        number = self.post(kind, actor, body)
        self.decide()
        return self.answers[number]

    def decide(self) -> None:
        """Run rounds at this instant until one changes nothing and no row waits."""
        for _ in range(ROUNDS_MAX):
            inbox, self._waiting = self._waiting, []
            changes = flow(self.world, inbox, self.policy, self.now)
            if not inbox and not changes:
                return
            self.recording.rounds.append(Round(self.now, tuple(inbox), changes.digest()))
            self.changes.append(changes)
            self.answers.update({answer.inbox: answer for answer in changes.answers})
            self._hear()
            self._sync()
        raise AssertionError("the rounds of one instant never came to rest")

    def run_until(self, until: int) -> None:
        """Let the virtual clock run to an instant."""
        self._sync()
        self.decide()
        while (at := self._next_instant()) <= until:
            self.now = max(self.now, at)
            self._sync()
            self.decide()
        self.now = until
        self.decide()

    def join(
        self, provider: int, facts: PoolFacts, key: str = "key", link: Link | None = None
    ) -> int:
        """Enrol a fake agent for a pool, open its session, and return the pool's id."""
        body = {"pool": facts.name, "public_key": key}
        pool = self.ask("agent", provider, body).values["agent"]
        opened = self.ask("session", pool, {"pool": to_plain(facts)})
        epoch = opened.values["epoch"]
        self.agents[pool] = FakeAgent(pool, epoch, facts, self.policy, self.now)
        self.links[pool] = link or Link()
        return pool

    def rejoin(self, pool: int, facts: PoolFacts) -> None:
        """Start the agent of a pool again: its work runs on, its session is a new one."""
        opened = self.ask("session", pool, {"pool": to_plain(facts)})
        self.agents[pool].open_session(opened.values["epoch"], self.now)

    def create(self, kind: str, name: str, trial_micro: int = 0, weight: int = 1) -> int:
        """Create a project or a provider and return its id."""
        body: dict[str, Any] = {"name": name}
        if kind == "project":
            body |= {"weight": weight, "trial_micro": trial_micro}
        answer = self.ask(kind, 0, body)
        assert answer.refusal is None, answer
        return answer.values[kind]

    def submit(self, project: int, request: Request, option: str = "") -> int | Refusal:
        """Submit a job and return its id, or the refusal."""
        body = {"request": to_plain(request), "option": option}
        answer = self.ask("job", project, body)
        return answer.refusal or answer.values["job"]

    def forget(self) -> None:
        """Drop what was decided and recorded so far, for a run that is too long to keep whole."""
        self.changes.clear()
        self.answers.clear()
        self.recording.rounds.clear()

    def _sync(self) -> None:
        for pool, agent in sorted(self.agents.items()):
            body = agent.speak(self.now)
            if body is None:
                continue
            carried = self.links[pool].carry(body)
            agent.is_polling = carried.is_answered
            for each in carried.bodies:
                self.post("sync", pool, each)

    def _hear(self) -> None:
        for _, agent in sorted(self.agents.items()):
            if agent.is_polling and not agent.is_silent:
                agent.hear(self.world, self.now)

    def _next_instant(self) -> int:
        instants = [agent.next_at(self.now) for agent in self.agents.values()]
        return min(instants, default=2**62)
