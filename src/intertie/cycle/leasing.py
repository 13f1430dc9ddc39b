"""Place, last part: the lease and the hold of each task that found its node."""

from collections.abc import Iterator

from intertie.cycle.affording import hold_micro, lease_ms
from intertie.cycle.orders import Orders, Supply
from intertie.cycle.views import account_of, waiting_tasks
from intertie.ledger.booking import hold
from intertie.model.job import Job, Task
from intertie.model.lease import Hold, Lease
from intertie.model.ledger import AccountKind
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import Cause, HoldState, LeaseState, TaskState, advance
from intertie.placement.given import POOL
from intertie.world.changes import Changes
from intertie.world.world import World


def bind(
    world: World,
    changes: Changes,
    orders: Orders,
    supply: Supply,
    placed: list[tuple[int, int]],
    policy: Policy,
    now: int,
) -> None:
    """Give each placed task, in order, its lease and its hold; the job keeps what was promised."""
    waiting: dict[int, Iterator[Task]] = {}
    number = world.next.get("Lease", 1)
    for lease_number, (at, node) in enumerate(placed, start=number):
        job_number = int(orders.numbers[at])
        if at not in waiting:
            waiting[at] = waiting_tasks(world, job_number)
        task = next(waiting[at])
        job = changes.rows.get(("Job", job_number)) or world.jobs.get(job_number)
        lease = _lease(world, orders, supply, at, node, job, task, lease_number, policy, now)
        booked = hold_micro(
            lease.until - now, lease.grace_s, lease.units_milli, lease.price_micro_per_unit_h
        )
        empty = Hold(lease.id, job.project, job.id, HoldState.OPEN, 0, 0, 0)
        wallet = account_of(world, AccountKind.WALLET, job.project)
        escrow = account_of(world, AccountKind.ESCROW, job.project)
        first = world.next.get("Transaction", 1) + len(changes.transactions)
        full, transaction = hold(first, empty, booked, wallet, escrow, 0, lease.token, now)
        changes.put(lease, full)
        if booked:
            changes.transactions.append(transaction)
        changes.put(changed(job, held_micro=job.held_micro + booked))
        state = advance(TaskState(task.state), TaskState.PLACED)
        changes.put(changed(task, state=state, lease=lease.id, attempts=task.attempts + 1))
        changes.event(
            job.id,
            "task_placed",
            task=task.index,
            pool=lease.pool,
            lease=lease.id,
            price_micro_per_unit_h=lease.price_micro_per_unit_h,
            hold_micro=booked,
        )


def _lease(
    world: World,
    orders: Orders,
    supply: Supply,
    at: int,
    node: int,
    job: Job,
    task: Task,
    number: int,
    policy: Policy,
    now: int,
) -> Lease:
    kin, pool, prices = orders.jobs.kin[at], supply.places.traits[node, POOL], orders.prices
    offer = world.offers.get(int(prices.offer[kin, pool]))
    task_s, units = int(prices.task_s[kin, pool]), int(prices.units_milli[kin, pool])
    need = orders.kins[kin].request.resources
    return Lease(
        id=number,
        token=task.attempts + 1,
        job=job.id,
        task=task.id,
        project=job.project,
        pool=supply.pools[pool],
        node=supply.nodes[node],
        state=LeaseState.PLACED,
        cause=Cause.NONE,
        stop_cause=Cause.NONE,
        grace_s=offer.grace_s,
        exit_code=-1,
        signal=0,
        cpus_milli=need.cpus_milli,
        memory_bytes=need.memory_bytes,
        disk_bytes=need.disk_bytes,
        device_count=need.device_count,
        units_milli=units,
        offer=offer.id,
        price_micro_per_unit_h=offer.price_micro_per_unit_h,
        score_millionths=offer.score_millionths,
        placed_at=now,
        started_at=0,
        seen_running_at=0,
        seen_ended_at=0,
        stop_at=0,
        until=now + lease_ms(job.time_limit_s, task_s, offer.grace_s, policy),
        agent_ms=0,
        network_ms=0,
        cpu_ms=0,
        memory_peak_bytes=0,
        charged_ms=0,
        charged_micro=0,
        slice_index=0,
        observed=0,
        is_taken=0,
        is_result=0,
    )
