"""Place, last part: the lease and the hold of each task that found its node."""

from dataclasses import replace

from intertie.cycle.affording import hold_micro, lease_ms
from intertie.cycle.orders import Orders, priced_on
from intertie.cycle.views import account_of, request_of
from intertie.ledger.booking import hold
from intertie.model.job import Task
from intertie.model.lease import Hold, Lease
from intertie.model.ledger import AccountKind
from intertie.model.policy import Policy
from intertie.model.states import Cause, HoldState, LeaseState, TaskState, advance
from intertie.world.changes import Changes
from intertie.world.world import World


def bind(
    world: World,
    changes: Changes,
    orders: Orders,
    placed: list[tuple[int, int]],
    policy: Policy,
    now: int,
) -> None:
    """Give each placed task, in order, its lease and its hold; the job keeps what was promised."""
    waiting = [iter(tasks) for tasks in orders.waiting]
    held: dict[int, int] = {}
    for at, node in placed:
        task, job = world.tasks.get(next(waiting[at])), orders.jobs[at]
        lease = _lease(world, changes, orders, at, task, node, policy, now)
        booked = hold_micro(
            lease.until - now, lease.grace_s, lease.units_milli, lease.price_micro_per_unit_h
        )
        empty = Hold(lease.id, job.project, job.id, HoldState.OPEN, 0, 0, 0)
        wallet = account_of(world, AccountKind.WALLET, job.project)
        escrow = account_of(world, AccountKind.ESCROW, job.project)
        number = world.next.get("Transaction", 1) + len(changes.transactions)
        full, transaction = hold(number, empty, booked, wallet, escrow, 0, lease.token, now)
        changes.put(lease, full)
        if booked:
            changes.transactions.append(transaction)
        held[job.id] = held.get(job.id, 0) + booked
        changes.put(replace(job, held_micro=job.held_micro + held[job.id]))
        state = advance(TaskState(task.state), TaskState.PLACED)
        changes.put(replace(task, state=state, lease=lease.id, attempts=task.attempts + 1))
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
    changes: Changes,
    orders: Orders,
    at: int,
    task: Task,
    node: int,
    policy: Policy,
    now: int,
) -> Lease:
    job = orders.jobs[at]
    offer, units, task_s = priced_on(world, orders, at, node)
    need = request_of(world, job.id).resources
    made = sum(1 for noun, _ in changes.rows if noun == "Lease")
    return Lease(
        id=world.next.get("Lease", 1) + made,
        token=task.attempts + 1,
        job=job.id,
        task=task.id,
        project=job.project,
        pool=world.nodes.get(node).pool,
        node=node,
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
        until=now + lease_ms(job, task_s, offer.grace_s, policy),
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
