"""What a World derives from its rows, counted again row by row; and a World counted afresh.

Like the laws, written again and not taken from the rooms that it judges.
"""

from collections import Counter
from copy import deepcopy
from hashlib import blake2b

from intertie.cycle.river import flow
from intertie.model.lease import Lease
from intertie.model.policy import Policy
from intertie.model.states import JobState, LeaseState, OfferState, Outcome, TaskState
from intertie.world.apply import ready
from intertie.world.world import JOB_SUMS, NODE_SUMS, POOL_SUMS, World

ALIVE = (LeaseState.PLACED, LeaseState.RUNNING, LeaseState.STOPPING)
FINISHING = 2  # of `observed`: the processes are gone, and only files hold room
ROOM = ("cpus_milli", "memory_bytes", "disk_bytes", "device_count")


def is_counted_right(world: World) -> None:
    """Assert that every sum, index and digest is what a count of the rows says."""
    _jobs(world)
    _rooms(world)
    _digests(world)
    _indexes(world)
    for account in world.accounts.rows():
        assert world.owned[account.kind, account.owner] == account.id
    named = {
        (kind, document.name): number
        for (kind, number), document in world.documents.items()
        if kind in ("project", "provider", "cohort")
    }
    named |= {
        ("agent", f"{world.pools.get(number).provider}/{document.pool}"): number
        for (kind, number), document in world.documents.items()
        if kind == "agent"
    }
    assert world.names == named


def decides_alike_afresh(world: World, policy: Policy, now: int) -> None:
    """Assert that a World without slots, sums and memo derives and decides the same."""
    known, fresh = deepcopy(world), afresh(world)
    ready(fresh)
    for table, again, names in (
        (known.jobs, fresh.jobs, set(JOB_SUMS) - {"next_task", "first_task"}),
        (known.nodes, fresh.nodes, NODE_SUMS),
        (known.pools, fresh.pools, POOL_SUMS),
    ):
        for name in names:
            for number in table.slots:
                assert table.value(number, name) == again.value(number, name), (name, number)
    assert flow(known, [], policy, now).digest() == flow(fresh, [], policy, now).digest()
    assert known.balances == fresh.balances


def afresh(world: World) -> World:
    """Return a World with the same rows, as a load from a store makes it."""
    fresh = World()
    for noun, table in world.tables().items():
        again = fresh.tables()[noun]
        again.free.reverse()
        for row in reversed(list(table.rows())):
            again.put(row)
    fresh.documents = dict(reversed(world.documents.items()))
    fresh.balances, fresh.next = dict(world.balances), dict(world.next)
    return fresh


def _jobs(world: World) -> None:
    kins = set()
    for job in world.jobs.rows():
        tasks = [task for task in world.tasks.rows() if task.job == job.id]
        leases = [lease for lease in world.leases.rows() if lease.job == job.id]
        sums = {state.name.lower(): sum(t.state == state for t in tasks) for state in TaskState}
        for name, outcome in (("failed", Outcome.FAILED), ("cancelled", Outcome.CANCELLED)):
            sums[name] = sum(task.outcome == outcome for task in tasks)
        sums["alive"] = sum(lease.state in ALIVE for lease in leases)
        sums["unsettled"] = sum(lease.state != LeaseState.SETTLED for lease in leases)
        assert sums == {name: world.jobs.value(job.id, name) for name in sums}, job
        numbers = [task.id for task in tasks]
        first = world.jobs.value(job.id, "first_task")
        assert numbers == list(range(first, first + len(numbers))) or not numbers
        queued = [task.id for task in tasks if task.state == TaskState.QUEUED]
        assert world.jobs.value(job.id, "next_task") <= min(queued, default=2**62), job
        kin = world.kins.of[world.jobs.value(job.id, "kin")]
        assert (kin is None) == (job.state >= JobState.ENDED)
        if kin is not None:
            kins.add(kin)
            request = world.documents["request", job.id]
            contract = world.documents["contract", job.id]
            assert (kin.project, kin.is_gang, kin.time_limit_s) == (
                job.project,
                job.is_gang,
                job.time_limit_s,
            )
            assert kin.request.resources == request.resources
            assert (kin.prices, kin.expected_s) == (contract.prices, contract.sizing.expected_s)
    assert kins == {kin for kin in world.kins.of if kin is not None}


def _rooms(world: World) -> None:
    alive = [lease for lease in world.leases.rows() if lease.state in ALIVE]
    for table, owner in ((world.nodes, "node"), (world.pools, "pool")):
        for number in table.slots:
            here = [lease for lease in alive if getattr(lease, owner) == number]
            run = [lease for lease in here if lease.observed < FINISHING]
            for name in ROOM:
                held = sum(getattr(x, name) for x in (here if name == "disk_bytes" else run))
                assert table.value(number, f"held_{name}") == held, (owner, number, name)
    for pool in world.pools.rows():
        run = [x for x in alive if x.pool == pool.id and x.observed < FINISHING]
        staying = [x for x in run if x.state != LeaseState.STOPPING]
        for name in (*ROOM[:2], "device_count"):
            held = sum(getattr(lease, name) for lease in staying)
            assert world.pools.value(pool.id, f"staying_{name}") == held
        listed = [o.id for o in world.offers.rows() if o.pool == pool.id and not o.state]
        assert OfferState.LISTED == 0
        assert world.pools.value(pool.id, "offer") == max(listed, default=0)
    for lease in world.leases.rows():
        assert world.leases.value(lease.id, "job_slot") == world.jobs.slots[lease.job]
        assert world.leases.value(lease.id, "pool_slot") == world.pools.slots[lease.pool]


def _digests(world: World) -> None:
    """What an agent and the network compare, from the access standard."""
    observed: Counter[int] = Counter()
    wanted: Counter[int] = Counter()
    for lease in world.leases.rows():
        if lease.state not in ALIVE:
            continue
        wanted[lease.pool] += mark(lease.id, lease.token, _until_or_stop(lease))
        if lease.is_taken and lease.observed <= 1:
            observed[lease.pool] += mark(lease.id, lease.token)
    for pool in world.pools.rows():
        assert pool.observed_digest == observed[pool.id] % 2**63, pool
        assert pool.wanted_digest == wanted[pool.id] % 2**63, pool


def _until_or_stop(lease: Lease) -> int:
    return -lease.stop_cause if lease.state == LeaseState.STOPPING else lease.until


def mark(*numbers: int) -> int:
    """The mark of a lease: BLAKE2b of eight bytes over its numbers, without the highest bit."""
    said = ",".join(str(number) for number in numbers)
    return int(blake2b(said.encode(), digest_size=8).hexdigest(), 16) & (2**63 - 1)


def _indexes(world: World) -> None:
    for table in world.tables().values():
        for name, index in table.index.items():
            found: dict[int, set[int]] = {}
            for row in table.rows():
                found.setdefault(getattr(row, name), set()).add(row.id)
            assert index == found, (table.noun, name)
        assert [table.get(row.id) for row in table.rows()] == list(table.rows())
