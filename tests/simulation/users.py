"""What people do: jobs of every kind, cancels, quotes, top-ups, blocks; each asked until answered.

Every ask carries a key and is repeated under it until some door acknowledges it, sometimes after
that too. What was asked and acknowledged is written down for the auditor.
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from intertie.model.plain import to_plain
from intertie.model.request import Checkpoint, DataReference, Request, Resources
from intertie.model.units import GIB, MICRO
from tests.simulation.clockwork import Clockwork
from tests.simulation.doors import Away, Doors, Lost, refusal_of

TRIES_MAX = 60


@dataclass
class Ask:
    """One request. `number` is what a door acknowledged, 0 before; `refusal` what a round said."""

    key: str
    kind: str
    actor: int
    body: dict[str, Any]
    begun_at: int
    number: int = 0
    acknowledged_at: int = 0
    is_answered: bool = False
    refusal: str = ""
    values: dict[str, int] = field(default_factory=dict)
    document: Any = None


class Users:
    """Everybody who asks. `doors` is replaced when the doors are started again."""

    def __init__(self, clock: Clockwork, doors: Doors, chance: Random) -> None:
        self.clock, self.doors, self.chance = clock, doors, chance
        self.asks: list[Ask] = []
        self.complaints: list[str] = []
        self.doubled = 0

    def ask(self, kind: str, actor: int, body: dict[str, Any]) -> Ask:
        """Ask in a fiber of its own."""
        asked = Ask(f"{kind} {len(self.asks) + 1}", kind, actor, body, self.clock.now)
        self.asks.append(asked)
        self.clock.spawn(asked.key, lambda: self._until_answered(asked))
        return asked

    def quote_and_submit(self, project: int, request: Request) -> None:
        """Ask for a quote, think, and take it, perhaps too late."""
        quote = self.ask("quote", project, {"request": to_plain(request)})
        think_ms = self.chance.choice((500, 2_000, 2_000, 40_000))

        def take() -> None:
            while not quote.is_answered:
                self.clock.sleep(500)
            self.clock.sleep(think_ms)
            if "quote" in quote.values:
                self.submit(project, _quoted(request, quote.values["quote"]))

        self.clock.spawn(f"take {quote.key}", take)

    def submit(self, project: int, request: Request) -> Ask:
        option = self.chance.choice(("", "", "cheapest", "soonest"))
        return self.ask("job", project, {"request": to_plain(request), "option": option})

    def jobs(self, project: int = 0) -> list[tuple[int, int]]:
        """Return (project, job) of all that was admitted."""
        found = [(ask.actor, ask.values["job"]) for ask in self.asks if self._is_admitted(ask)]
        return [each for each in found if project in (0, each[0])]

    def forget(self, kept: set[str]) -> None:
        """A restore has forgotten some asks: their users know, and ask no more about them."""
        for ask in self.asks:
            if ask.acknowledged_at and ask.key not in kept:
                ask.values, ask.is_answered = {}, True

    def _is_admitted(self, ask: Ask) -> bool:
        return ask.kind == "job" and "job" in ask.values

    def _until_answered(self, asked: Ask) -> None:
        for _ in range(TRIES_MAX):
            self.clock.sleep(self.chance.randrange(1, 20))
            try:
                self._once(asked)
            except Away:
                self.clock.sleep(self.chance.randrange(300, 3_000))
                continue
            except Lost:
                pass  # a restore came between; who asked is told
            break
        asked.is_answered = True

    def _once(self, asked: Ask) -> None:
        for _ in range(1 + (self.chance.random() < 0.15)):
            number = self.doors.append(asked.kind, asked.actor, asked.body, asked.key)
            if asked.number and asked.number != number:
                self.complaints.append(f"{asked.key}: row {asked.number} became row {number}")
            self.doubled += bool(asked.number)
            asked.number, asked.acknowledged_at = number, self.clock.now
        found = self.doors.answer(number)
        refusal = refusal_of(found)
        asked.refusal = refusal.code if refusal else ""
        asked.values = (found.answer or {}).get("values", {}) if not refusal else {}
        asked.document = (found.answer or {}).get("document")


def some_request(chance: Random, jobs: list[int]) -> Request:
    """Return a job as people ask for them: most are small, some cannot be had."""
    count = chance.choice((1, 1, 2, 3, 5))
    work_ms = chance.choice((1_500, 4_000, 9_000, 9_000, 25_000, 50_000))
    program = [("WORK_MS", str(work_ms))]
    program += chance.choice(
        ([], [], [], [], [("EXIT_CODE", "3")], [("START", "failed")], [("IGNORES_STOP", "1")])
    )
    return Request(
        name="job",
        command=("true",),
        environment=tuple(program),
        resources=Resources(
            cpus_milli=chance.choice((500, 1000, 1000, 2000)),
            memory_bytes=chance.choice((GIB, 3 * GIB)),
        ),
        task_count=count,
        is_gang=int(count > 1 and chance.random() < 0.3),
        after=(chance.choice(jobs),) if jobs and chance.random() < 0.2 else (),
        expected_s=chance.choice((work_ms // 1000, 10, 0)),
        time_limit_s=chance.choice((5, 30, 60, 60)),
        budget_micro=chance.choice((0, 0, 900_000, 60_000, 9_000)),
        residency=chance.choice(((), (), (), ("CN",), ("MARS",))),
        data=chance.choice(((), (), (), (DataReference("secret", 0, ("west",)),))),
        checkpoint=chance.choice((None, None, Checkpoint("state", 1))),
        prefer=chance.choice(("cheapest", "soonest")),
        on_partition=chance.choice(("keep", "move")),
    )


def a_top_up(chance: Random, project: int) -> dict[str, int]:
    """Return the body of a top-up, now and then for a project that is not there."""
    amount = chance.choice((1, 7_919, 300_000, 2 * MICRO))
    return {"project": project if chance.random() < 0.95 else 999_999, "amount_micro": amount}


def _quoted(request: Request, quote: int) -> Request:
    return replace(request, quote=quote)
