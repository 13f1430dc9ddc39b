"""Run the ledger under many hands that die: the parent, which watches, counts and checks."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Engine

from intertie.control.bootstrap import open_network
from intertie.control.clock import now_ms
from intertie.control.decider import Decider
from intertie.control.kernels import prepare_kernels, warm_kernels
from intertie.model.policy import Policy
from intertie.store.appending import append, waited
from tests.faults.ledger import processes
from tests.faults.ledger.checks import Checker, is_settled
from tests.faults.ledger.plan import DECIDERS, KILLED, POOLS, TELLERS, Plan, journal_of

LOOK_S = 0.1
DRAIN_S = 600.0
POLICY = Policy(slice_s=10, retain_s=0, lease_s=120, tasks_max=10_000)
PROJECTS = 5


@dataclass
class Outcome:
    """What a run was."""

    operations: int = 0
    took_s: float = 0.0
    crashes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    checks: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)


class Hands:
    """The processes of a run; one that died by its count is started again with another."""

    def __init__(self, plan: Plan, pools: list[int]) -> None:
        # A child of an import that is done starts in milliseconds.
        self._context = multiprocessing.get_context("fork")
        self._plan, self._chance = plan, Random(plan.seed)
        roles: list[tuple[str, Callable[..., None], int, int]] = []
        deciders = range(DECIDERS)
        roles += [("decider", processes.decide, n, plan.decider_most) for n in deciders]
        roles += [("teller", processes.tell, n, plan.teller_most) for n in range(TELLERS)]
        # An agent waits for its session, which takes many looks before it does anything.
        roles += [("agent", processes.report, n, 4 * plan.teller_most) for n in pools]
        self._hands = [(role, self._start(role)) for role in roles]

    def look(self, crashes: Counter[str]) -> int:
        """Start again who died; return how many did. Whoever ended otherwise is our mistake."""
        died = 0
        for at, (role, process) in enumerate(self._hands):
            if process.exitcode is None or (process.exitcode == 0 and role[0] == "teller"):
                continue
            assert process.exitcode == KILLED, f"{role[0]} ended with {process.exitcode}"
            process.join()
            died += 1
            crashes[role[0]] += 1
            self._hands[at] = (role, self._start(role))
        return died

    def have_told(self) -> bool:
        """Return whether the tellers have left: nothing more will be asked."""
        return all(each.exitcode == 0 for role, each in self._hands if role[0] == "teller")

    def may_report(self) -> bool:
        """Return whether agents are there, who may have a last word when all has settled."""
        return any(role[0] == "agent" for role, _ in self._hands)

    def end(self, *roles: str) -> None:
        """End those of these roles that are still there, each by its own process."""
        for (role, *_), process in self._hands:
            if role in roles:
                process.kill()
                process.join()
        self._hands = [each for each in self._hands if each[0][0] not in roles]

    def _start(self, role: tuple[str, Callable[..., None], int, int]) -> multiprocessing.Process:
        _, work, number, most = role
        may_die = not self._plan.enough.exists()
        statement = self._chance.randrange(1, most) if may_die else 0
        process = self._context.Process(
            target=work, args=(self._plan, number, statement), daemon=True
        )
        process.start()
        return process  # type: ignore[return-value]


def run_ledger(plan: Plan, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Book operations until there are enough, let all settle, and check the books."""
    prepare_kernels()
    warm_kernels()
    pools = _begin(plan)
    outcome = Outcome()
    begun = time.monotonic()
    hands = Hands(plan, pools)
    engine = open_network(plan.url)
    checker = Checker(engine)
    try:
        _watch(plan, hands, engine, checker, outcome, tell)
    finally:
        hands.end("teller", "agent", "decider")
    outcome.took_s = time.monotonic() - begun
    tell(f"{outcome.operations} operations in {outcome.took_s:.0f} s; the last checks")
    outcome.operations = checker.follow()
    if not checker.faults:
        checker.whole()
        checker.proof()
    journals = [journal_of(plan, number) for number in range(TELLERS)]
    outcome.acknowledged = checker.appended([path for path in journals if path.exists()])
    outcome.counts, outcome.faults = checker.counts(), checker.faults
    engine.dispose()
    return outcome


def _watch(
    plan: Plan,
    hands: Hands,
    engine: Engine,
    checker: Checker,
    outcome: Outcome,
    tell: Callable[[str], None],
) -> None:
    drained_by, told_at = 0.0, time.monotonic()
    while not checker.faults:
        time.sleep(LOOK_S)
        died = hands.look(outcome.crashes)
        is_enough = plan.enough.exists()
        outcome.operations = checker.follow() if died else checker.count()
        outcome.checks += bool(died)
        if time.monotonic() - told_at > 20:
            told_at = time.monotonic()
            tell(f"{outcome.operations} operations, {outcome.crashes.total()} crashes")
        if not is_enough and outcome.operations >= plan.operations:
            plan.enough.touch()
            drained_by = time.monotonic() + DRAIN_S
        if is_enough and hands.have_told() and is_settled(engine):
            if not hands.may_report():
                return
            hands.end("agent")
        if drained_by and time.monotonic() > drained_by:
            checker.faults.append("not everything settled")


def _begin(plan: Plan) -> list[int]:
    """Make the network, its projects and pools; return the pools."""
    engine = open_network(plan.url, policy=POLICY)
    decider = Decider(engine)

    def decided(kind: str, actor: int, body: dict[str, object]) -> int:
        number = append(engine, kind, actor, now_ms(), body)
        decider.decide()
        assert waited(engine, number).is_taken
        return number

    for at in range(PROJECTS):
        decided("project", 0, {"name": f"p{at}", "weight": 1, "trial_micro": 10**13})
    pools = []
    for at in range(POOLS):
        provider = decided("provider", 0, {"name": f"q{at}"})
        pools.append(decided("agent", provider, {"pool": f"q{at}", "public_key": "key"}))
    engine.dispose()
    return pools
