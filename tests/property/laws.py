"""What never happens (docs: the design, section 8), checked on every step and every round.

Everything here is written again from the design, not from the rooms that it judges.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import Any

from intertie.catalogue.texts import has_text, languages, text
from intertie.ledger.proving import prove
from intertie.model.job import Blocked, Job, Task
from intertie.model.lease import Lease
from intertie.model.ledger import AccountKind, TransactionKind
from intertie.model.offer import Offer
from intertie.model.parties import Node, Pool, PoolFacts
from intertie.model.quote import QuoteTerms
from intertie.model.refusal import Refusal
from intertie.model.request import Request, Resources
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
from intertie.model.versions import satisfies
from intertie.simulator.attempts import FakeAttempt
from intertie.simulator.network import SimulatedNetwork
from intertie.world.changes import Changes
from intertie.world.world import World
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
ALIVE = (LeaseState.PLACED, LeaseState.RUNNING, LeaseState.STOPPING)
STAYING = (LeaseState.PLACED, LeaseState.RUNNING)
FINISHING = 2  # of `observed`: the processes are gone, and only files hold room
HOUR_MILLI_MS = 3_600_000 * 1000


def cost_micro(ms: int, units_milli: int, price_micro_per_unit_h: int) -> int:
    """What units cost for a time, rounded up."""
    return -(-ms * units_milli * price_micro_per_unit_h // HOUR_MILLI_MS)


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
            places = [] if may_hold_no_more(world, job) else open_to(world, self.network, job)
            is_kept = places and kept_from(world, self.network, job, places)
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
            price = _price(world, job, node)
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


def unmet(world: World, request: Request, job: Job, node: Node) -> str:
    """Return which of the request's conditions this node's pool does not meet, or nothing."""
    pool = world.pools.get(node.pool)
    facts: PoolFacts = world.documents["pool", pool.id]
    provider = world.documents["provider", pool.provider].name
    project = world.documents["project", job.project].name
    versions = {stack.name: stack.version for stack in facts.software}
    asked, need = request.software, request.resources
    conditions = {
        "data": all(not d.bound_to or provider in d.bound_to for d in request.data),
        "provider": not request.providers or provider in request.providers,
        "residency": not request.residency
        or facts.region in request.residency
        or facts.country in request.residency,
        "latency": not request.latency_ms_max or facts.latency_ms <= request.latency_ms_max,
        "admitted": not facts.terms.projects or project in facts.terms.projects,
        "price": "list" in request.price_kinds,
        "software": not asked.stack
        or (asked.stack in versions and satisfies(versions[asked.stack], asked.version)),
        "abilities": set(request.requires) <= set(facts.abilities),
        "gangs": not job.is_gang or job.task_count == 1 or "gangs" in facts.abilities,
        "online": pool.state == PoolState.ONLINE and not pool.is_draining,
        "cpus": need.cpus_milli * node.machine_count <= node.cpus_milli,
        "memory": need.memory_bytes * node.machine_count <= node.memory_bytes,
        "disk": need.disk_bytes * node.machine_count <= node.disk_bytes,
        "devices": need.device_count * node.machine_count <= node.device_count,
        "class": need.device_class in ("", facts.nodes[node.index].device_class),
    }
    return next((name for name, is_met in conditions.items() if not is_met), "")


def waiting(world: World) -> Iterator[tuple[Job, Task]]:
    """Every job that may be placed now, with the first of its waiting tasks."""
    for job in world.jobs.rows():
        is_open = job.state in (JobState.QUEUED, JobState.RUNNING) and not job.is_cancelled
        tasks = world.tasks.where(job=job.id, state=TaskState.QUEUED) if is_open else []
        if tasks and not world.projects.get(job.project).is_blocked:
            yield job, tasks[0]


def open_to(world: World, network: SimulatedNetwork, job: Job) -> list[Node]:
    """Return the nodes that have room for one more task that can be paid (or the whole gang)."""
    request: Request = world.documents["request", job.id]
    places = [
        (node, price)
        for node in world.nodes.rows()
        if not unmet(world, request, job, node)
        and (price := _price(world, job, node)) is not None
        and _is_within_limit(job, request, world, node, price)
    ]
    if not job.is_gang:
        return [
            node
            for node, price in places
            if _room(world, request, [node])
            and _is_affordable(world, network, job, _hold(world, network, job, node, price), 1)
        ]
    count = len(world.tasks.where(job=job.id, state=TaskState.QUEUED))
    found: list[Node] = []
    # Whole on one pool. Whichever of its nodes the gang is given, it must be able to pay: only
    # then its waiting is a fault.
    for pool in {node.pool for node, _ in places}:
        here = [(node, price) for node, price in places if node.pool == pool]
        dearest = max(_hold(world, network, job, node, price) for node, price in here)
        has_room = _room(world, request, [node for node, _ in here]) >= count
        if has_room and _is_affordable(world, network, job, dearest, count):
            found += [node for node, _ in here]
    return found


def kept_from(world: World, network: SimulatedNetwork, job: Job, places: list[Node]) -> bool:
    """Return whether all of these are kept for somebody who fits nowhere now, and will in a while.

    Then the job would still be there, and not both of them have room on the node or in its pool.
    """
    if network.policy.backfill == "first-fit":
        return False
    ends_ms = {x.id: _ends_ms(world, x, network.now) for x in world.leases.rows()}
    finishing = {x.id for x in world.leases.rows() if x.observed >= FINISHING}
    for head, _ in waiting(world):
        request: Request = world.documents["request", head.id]
        count = len(world.tasks.where(job=head.id, state=TaskState.QUEUED)) if head.is_gang else 1
        nodes = [node for node in world.nodes.rows() if not unmet(world, request, head, node)]
        for at in sorted(set(ends_ms.values())):
            gone = finishing | {number for number, end in ends_ms.items() if end <= at}
            pools = {
                pool
                for pool in {node.pool for node in nodes}
                if _room(world, request, [n for n in nodes if n.pool == pool], gone) >= count
            }
            if not pools:
                continue
            if _longest_ms(world, job) > at and all(
                node.pool in pools and not _hold_both(world, head, job, node, count, gone)
                for node in places
            ):
                return True
            break
    return False


def _hold_both(world: World, head: Job, job: Job, node: Node, count: int, gone: set[int]) -> bool:
    """Return whether a node and its pool have room for a task of one and all there of the other."""
    one, other = (world.documents["request", each.id].resources for each in (head, job))
    may_sit = not unmet(world, world.documents["request", head.id], head, node)
    held = [x for x in world.leases.where(pool=node.pool) if x.state in ALIVE and x.id not in gone]
    pool = world.pools.get(node.pool)
    for name in ("cpus_milli", "memory_bytes", "device_count"):
        here = sum(getattr(x, name) for x in held if x.node == node.id)
        left = getattr(node, name) - here - getattr(other, name)
        beside = min(count, (left + getattr(other, name)) // max(1, getattr(one, name)))
        if may_sit and left < getattr(one, name) * max(1, beside):
            return False
        lent = getattr(pool, f"lent_{name}") - sum(getattr(x, name) for x in held)
        if lent < getattr(other, name) + getattr(one, name) * count:
            return False
    return True


def _ends_ms(world: World, lease: Lease, now: int) -> int:
    """In how long a lease should give back its room, by what its job says."""
    job = world.jobs.get(lease.job)
    work_s = -(-(job.expected_s or job.time_limit_s) * 1_000_000 // lease.score_millionths)
    begun_at = lease.started_at or max(lease.placed_at, lease.expected_start_at)
    return max(0, (begun_at // 1000 + work_s) * 1000 - now)


def _longest_ms(world: World, job: Job) -> int:
    """How long a task of a job may be expected to take, on the slowest pool."""
    slowest = min(offer.score_millionths or 1_000_000 for offer in world.offers.rows())
    work_s = -(-(job.expected_s or job.time_limit_s) * 1_000_000 // slowest)
    return min(work_s, job.time_limit_s) * 1000


def _price(world: World, job: Job, node: Node) -> Offer | None:
    """The version that this job pays here; None where nothing is offered or nothing promised."""
    locked = {p.pool: p.offer for p in world.documents["contract", job.id].prices}
    listed = world.offers.where(pool=node.pool, state=OfferState.LISTED)
    if not listed or not listed[-1].score_millionths:
        return None
    if job.quote and not job.budget_micro and node.pool not in locked:
        return None
    return world.offers.get(locked[node.pool]) if node.pool in locked else listed[-1]


def _units_milli(request: Request, world: World, node: Node) -> int:
    facts: PoolFacts = world.documents["pool", node.pool]
    need = request.resources
    billed = []
    for home in facts.nodes:
        if need.device_class not in ("", home.device_class):
            continue
        if need.device_count > home.device_count:
            continue
        whole = home.device_count * 1000 or home.cpus_milli
        by_cpus = -(-need.cpus_milli * whole // home.cpus_milli)
        by_memory = -(-need.memory_bytes * whole // home.memory_bytes)
        billed.append(max(by_cpus, by_memory, need.device_count * 1000))
    return min(billed)


def _is_within_limit(job: Job, request: Request, world: World, node: Node, price: Offer) -> bool:
    sizing = world.documents["contract", job.id].sizing
    task_s = job.time_limit_s
    if sizing.source != "time_limit":
        task_s = min(task_s, -(-sizing.expected_s * 1_000_000 // price.score_millionths))
    units = _units_milli(request, world, node)
    task_micro = cost_micro(task_s * 1000, units, price.price_micro_per_unit_h)
    return not job.limit_micro_per_task or task_micro <= job.limit_micro_per_task


def _hold(world: World, network: SimulatedNetwork, job: Job, node: Node, price: Offer) -> int:
    policy = network.policy
    lease_s = min(policy.lease_s, policy.startup_s + job.time_limit_s + price.grace_s)
    units = _units_milli(world.documents["request", job.id], world, node)
    return cost_micro((lease_s + price.grace_s) * 1000, units, price.price_micro_per_unit_h)


def _is_affordable(
    world: World, network: SimulatedNetwork, job: Job, hold: int, count: int
) -> bool:
    wallet = next(
        a.id
        for a in world.accounts.rows()
        if a.kind == AccountKind.WALLET and a.owner == job.project
    )
    left = job.budget_micro - job.spent_micro - job.held_micro
    has_budget = not job.budget_micro or hold * count <= left
    return has_budget and hold * count <= world.balances.get(wallet, 0)


def _room(world: World, request: Request, nodes: list[Node], gone: Collection[int] = ()) -> int:
    """Return how many tasks of this shape the free room of these nodes and their pools holds.

    Without the leases that are `gone`.
    """
    need = request.resources
    by_pool: dict[int, int] = {}
    for node in nodes:
        held = [x for x in world.leases.where(node=node.id) if x.state in ALIVE]
        held = [x for x in held if x.id not in gone]
        room = min(
            (node.cpus_milli - sum(x.cpus_milli for x in held)) // need.cpus_milli,
            (node.memory_bytes - sum(x.memory_bytes for x in held)) // need.memory_bytes,
            (node.disk_bytes - sum(x.disk_bytes for x in held)) // need.disk_bytes,
            _devices_for(need, node.device_count, held),
        )
        by_pool[node.pool] = by_pool.get(node.pool, 0) + max(0, room)
    return sum(min(room, _lent_room(world, request, p, gone)) for p, room in by_pool.items())


def _lent_room(world: World, request: Request, number: int, gone: Collection[int]) -> int:
    pool, need = world.pools.get(number), request.resources
    held = [x for x in world.leases.where(pool=number) if x.state in ALIVE]
    held = [x for x in held if x.id not in gone]
    cpus = (pool.lent_cpus_milli - sum(x.cpus_milli for x in held)) // need.cpus_milli
    memory = (pool.lent_memory_bytes - sum(x.memory_bytes for x in held)) // need.memory_bytes
    return max(0, min(cpus, memory, _devices_for(need, pool.lent_device_count, held)))


def _devices_for(need: Resources, has: int, held: list[Lease]) -> int:
    left = has - sum(x.device_count for x in held)
    return left // need.device_count if need.device_count else 1_000


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
