"""What never happens (docs: the design, section 8), checked on every step and every round.

Everything here is written again from the design, not from the rooms that it judges.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from intertie.catalogue.texts import has_text, languages, text
from intertie.ledger.proving import prove
from intertie.model.job import Blocked
from intertie.model.lease import Lease
from intertie.model.ledger import AccountKind, TransactionKind
from intertie.model.parties import Pool, PoolFacts
from intertie.model.quote import QuoteTerms
from intertie.model.refusal import Refusal
from intertie.model.states import (
    NEXT,
    HoldState,
    JobState,
    LeaseState,
    OfferState,
    Outcome,
    PoolState,
    QuoteState,
    TaskState,
)
from intertie.simulator.attempts import FakeAttempt
from intertie.simulator.network import SimulatedNetwork
from intertie.world.changes import Changes
from intertie.world.world import World
from tests.property.conserving import (
    ALIVE,
    FINISHING,
    cost_micro,
    kept_by_owners,
    kept_from,
    open_to,
    price_of,
    unmet,
    waiting,
)
from tests.property.derived import is_counted_right
from tests.property.quotas import keep_their_quotas, may_hold_no_more

STATES: dict[str, type[Any]] = {
    "Job": JobState,
    "Task": TaskState,
    "Lease": LeaseState,
    "Quote": QuoteState,
    "Hold": HoldState,
    "Pool": PoolState,
    "Offer": OfferState,
}
STAYING = (LeaseState.PLACED, LeaseState.RUNNING)


class Watch:
    """Judges each step before it is applied, and each instant when it has come to rest."""

    def __init__(self, network: SimulatedNetwork) -> None:
        self.network = network
        self.results: Counter[int] = Counter()
        self.slices: Counter[tuple[int, int, int]] = Counter()
        self.refusals: list[Refusal] = []

    def step(self, world: World, changes: Changes) -> None:
        """Judge what one step of the river is about to change."""
        self._moves(world, changes)
        self._placed(world, changes)
        for transaction in changes.transactions:
            assert all(p.amount_micro > 0 for p in transaction.postings), transaction
            if transaction.kind == TransactionKind.CHARGE:
                self.slices[transaction.lease, transaction.token, transaction.slice_index] += 1
        for (noun, number), row in changes.rows.items():
            before = world.leases.find(number) if noun == "Lease" else None
            if noun == "Lease" and row.is_result and not (before and before.is_result):
                self.results[row.task] += 1
        self.refusals += refusals_in(changes)

    def round(self, world: World) -> None:
        """Judge the World after one round."""
        for account in world.accounts.rows():
            floor_is_zero = account.kind != AccountKind.ISSUANCE
            assert world.balances.get(account.id, 0) >= 0 or not floor_is_zero, account
        assert sum(world.balances.values()) == 0
        assert max(self.slices.values(), default=1) == 1
        assert max(self.results.values(), default=1) == 1
        _capacity(world)
        _holds(world)
        is_counted_right(world)

    def rest(self, world: World) -> None:
        """Judge the World when no round changes anything any more at this instant."""
        assert self.network.policy.fee_ppm < 1_000_000
        for job, task in waiting(world):
            if may_hold_no_more(world, job):
                continue
            places = open_to(world, self.network, job)
            is_kept = places and (
                kept_from(world, self.network, job, places) or kept_by_owners(world, job, places)
            )
            assert is_kept or not places, f"{job} waits although {task} fits"

    def end(self) -> None:
        """Judge the whole run, when everything has ended."""
        world, rounds = self.network.world, self.network.changes
        assert all(job.state == JobState.SETTLED for job in world.jobs.rows())
        assert not len(world.leases)
        assert not len(world.holds)
        for account in world.accounts.rows():
            if account.kind == AccountKind.ESCROW:
                assert world.balances.get(account.id, 0) == 0, account
        assert proof_faults(self.network) == ()
        done = {
            row.id
            for changes in rounds
            for (noun, _), row in changes.rows.items()
            if noun == "Task" and row.outcome == Outcome.DONE
        }
        assert done == set(self.results)
        assert not any(agent.attempts for agent in self.network.agents.values())
        runs = [run for agent in self.network.agents.values() for run in agent.gone]
        never_twice_at_once(runs)
        _never_more_than_the_machines(self.network)
        for refusal in self.refusals:
            speaks_every_language(refusal)

    def _moves(self, world: World, changes: Changes) -> None:
        tables = world.tables()
        for (noun, number), row in changes.rows.items():
            kind = STATES.get(noun)
            before = tables[noun].find(number) if kind else None
            if kind is None or before is None or before.state == row.state:
                continue
            was, now = kind(before.state), kind(row.state)
            assert now in NEXT[kind][was], f"{noun} {number}: {was!r} became {now!r}"

    def _placed(self, world: World, changes: Changes) -> None:
        """A gang is placed whole, capacity is not oversold, and every constraint is kept."""
        new = [
            row
            for (noun, number), row in changes.rows.items()
            if noun == "Lease" and number not in world.leases
        ]
        for lease in new:
            assert lease.state == LeaseState.PLACED
            request = world.documents["request", lease.job]
            node = world.nodes.get(lease.node)
            job = world.jobs.get(lease.job)
            assert not unmet(world, request, job, node), lease
            price = price_of(world, job, node)
            assert price is not None
            assert (lease.offer, lease.price_micro_per_unit_h) == (
                price.id,
                price.price_micro_per_unit_h,
            )
            others = [x for x in world.leases.where(task=lease.task) if x.state in ALIVE]
            assert others == [], "a second attempt while the first may run"
        keep_their_quotas(world, new)
        for number, count in Counter(lease.job for lease in new).items():
            if world.jobs.get(number).is_gang:
                assert count == len(world.tasks.where(job=number, state=TaskState.QUEUED))
                assert len({lease.pool for lease in new if lease.job == number}) == 1
        for number in {lease.pool for lease in new}:
            pool = world.pools.get(number)
            held = [x for x in world.leases.where(pool=number) if x.state in ALIVE]
            held += [lease for lease in new if lease.pool == number]
            assert sum(x.cpus_milli for x in held) <= pool.lent_cpus_milli
            assert sum(x.memory_bytes for x in held) <= pool.lent_memory_bytes
            assert sum(x.device_count for x in held) <= pool.lent_device_count


def _capacity(world: World) -> None:
    alive = [x for x in world.leases.rows() if x.state in ALIVE]
    assert max(Counter(x.task for x in alive).values(), default=1) == 1
    for node in world.nodes.rows():
        here = [x for x in alive if x.node == node.id]
        assert sum(x.disk_bytes for x in here) <= node.disk_bytes, node
        here = [x for x in here if x.observed < FINISHING]
        assert sum(x.cpus_milli for x in here) <= node.cpus_milli, node
        assert sum(x.memory_bytes for x in here) <= node.memory_bytes, node
        assert sum(x.device_count for x in here) <= node.device_count, node
    for pool in world.pools.rows():
        here = [x for x in alive if x.pool == pool.id and x.observed < FINISHING]
        staying = [x for x in here if x.state in STAYING]
        if pool.state in (PoolState.ONLINE, PoolState.DRAINING):
            _assert_within(pool, staying)


def _assert_within(pool: Pool, leases: list[Lease]) -> None:
    assert sum(x.cpus_milli for x in leases) <= pool.lent_cpus_milli, pool
    assert sum(x.memory_bytes for x in leases) <= pool.lent_memory_bytes, pool
    assert sum(x.device_count for x in leases) <= pool.lent_device_count, pool


def _holds(world: World) -> None:
    """A lease never outlives its hold, and a job's sums are those of its holds."""
    for lease in world.leases.rows():
        hold = world.holds.get(lease.id)
        longest_ms = lease.until + lease.grace_s * 1000 - lease.placed_at - lease.waited_ms
        assert lease.charged_ms <= max(0, longest_ms)
        if lease.state in ALIVE:
            most = cost_micro(longest_ms, lease.units_milli, lease.price_micro_per_unit_h)
            assert most <= hold.amount_micro, (lease, hold)
            assert hold.state == HoldState.OPEN
        assert hold.posted_micro == lease.charged_micro
    for job in world.jobs.rows():
        held = [h for h in world.holds.where(job=job.id) if h.state == HoldState.OPEN]
        kept = sum(h.amount_micro - h.posted_micro - h.released_micro for h in held)
        assert kept == job.held_micro, job
        if job.budget_micro:
            assert job.spent_micro + job.held_micro <= job.budget_micro, job


def proof_faults(network: SimulatedNetwork) -> tuple[str, ...]:
    """Prove the books of a whole run from all that its rounds changed."""
    holds = {
        number: row
        for changes in network.changes
        for (noun, number), row in changes.rows.items()
        if noun == "Hold"
    }
    world = network.world
    return prove(
        world.accounts.rows(),
        world.balances,
        [t for changes in network.changes for t in changes.transactions],
        holds.values(),
        [u for changes in network.changes for u in changes.usage],
    ).faults


def never_twice_at_once(runs: Iterable[FakeAttempt]) -> None:
    """On the machines themselves no two attempts of one task overlap."""
    by_task: dict[int, list[FakeAttempt]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    for attempts in by_task.values():
        attempts.sort(key=lambda run: (run.starts_at, run.ends_at))
        for first, second in pairwise(attempts):
            assert first.ends_at <= second.starts_at, (first, second)


def _never_more_than_the_machines(network: SimulatedNetwork) -> None:
    """On the machines themselves no more runs at once than the pool has."""
    for pool, agent in network.agents.items():
        facts: PoolFacts = network.world.documents["pool", pool]
        has_milli = sum(node.cpus_milli for node in facts.nodes)
        for run in agent.gone:
            beside = [o for o in agent.gone if o.starts_at <= run.starts_at < o.ends_at]
            assert sum(o.cpus_milli for o in beside) <= has_milli, run


def refusals_in(changes: Changes) -> Iterator[Refusal]:
    """Every refusal that one step says, wherever it says it."""
    for answer in changes.answers:
        if answer.refusal is not None:
            yield answer.refusal
        if isinstance(answer.document, Blocked):
            yield from (refusal for _, refusal in answer.document.refusals)
            if answer.document.nearest is not None:
                yield answer.document.nearest
    for document in changes.documents.values():
        if isinstance(document, QuoteTerms):
            yield from (lost.refusal for lost in document.lost)
            yield from (option.lost for option in document.options if option.lost is not None)


def speaks_every_language(refusal: Refusal) -> None:
    """Assert that both catalogues can say a refusal and its relaxation with the values it has."""
    for lang in languages():
        assert has_text(lang, f"refusal.{refusal.code}"), refusal
        text(lang, f"refusal.{refusal.code}", **refusal.values)
        if refusal.relaxation is not None:
            relaxation = refusal.relaxation
            text(lang, f"relaxation.{relaxation.code}", **relaxation.values)
