"""Work conservation: whether what waits could go where something is free and kept for nobody.

Like the laws, written again from the design.
"""

from collections.abc import Collection, Iterator

from intertie.model.job import Job, Task
from intertie.model.lease import Lease
from intertie.model.ledger import AccountKind
from intertie.model.offer import Offer
from intertie.model.parties import Node, PoolFacts
from intertie.model.request import Request, Resources
from intertie.model.states import JobState, LeaseState, OfferState, PoolState, TaskState
from intertie.model.versions import satisfies
from intertie.simulator.network import SimulatedNetwork
from intertie.world.world import World

ALIVE = (LeaseState.PLACED, LeaseState.RUNNING, LeaseState.STOPPING)
FINISHING = 2  # of `observed`: the processes are gone, and only files hold room
HOUR_MILLI_MS = 3_600_000 * 1000


def cost_micro(ms: int, units_milli: int, price_micro_per_unit_h: int) -> int:
    """What units cost for a time, rounded up."""
    return -(-ms * units_milli * price_micro_per_unit_h // HOUR_MILLI_MS)


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
        and (price := price_of(world, job, node)) is not None
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


def kept_by_owners(world: World, job: Job, places: list[Node]) -> bool:
    """Return whether on all of these an owner's job comes first, for which guests leave just now.

    Among an owner's own jobs room is kept at home as if there were no guests.
    """
    for number in {node.pool for node in places}:
        facts: PoolFacts = world.documents["pool", number]
        owner = world.names.get(("project", facts.terms.own_project))
        is_awaited = any(j.project == owner and j.id != job.id for j, _ in waiting(world))
        is_leaving = any(
            x.observed < FINISHING
            for x in world.leases.where(pool=number, state=LeaseState.STOPPING)
        )
        if not is_awaited or not (is_leaving or job.project == owner):
            return False
    return True


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


def price_of(world: World, job: Job, node: Node) -> Offer | None:
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
