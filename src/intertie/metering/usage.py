"""Usage records from a lease's meters, by slices of a fixed grid of its run time."""

from intertie.model.lease import Lease
from intertie.model.meter import UsageRecord
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import UNPAID, LeaseState
from intertie.model.units import MICRO, MILLI, charge_micro, service_units_micro


def paid_ms(lease: Lease) -> int:
    """Return the time to pay for so far: the lowest meter, at most to the lease's end and grace.

    A site that keeps no accounts is no meter. A start that failed costs nothing; what was charged
    before, whatever is said later, stays.
    """
    if lease.cause in UNPAID:
        return lease.charged_ms
    most_ms = lease.until + lease.grace_s * MILLI - lease.placed_at - lease.waited_ms
    return max(lease.charged_ms, min(*meters_ms(lease), most_ms))


def meters_ms(lease: Lease) -> tuple[int, ...]:
    """Return what each meter says: the agent's, the network's, and the site's where it has one."""
    ours = (lease.agent_ms, lease.network_ms)
    return (*ours, lease.site_ms) if lease.site_ms else ours


def is_disputed(lease: Lease, policy: Policy) -> bool:
    """Return whether the meters differ by more than max(2 %, two sync intervals + 1 s)."""
    if lease.cause in UNPAID:
        return False
    least_ms, larger_ms = min(meters_ms(lease)), max(meters_ms(lease))
    bound_ms = max(larger_ms * policy.meter_tolerance_ppm // MICRO, 2 * policy.busy_poll_ms + MILLI)
    return larger_ms - least_ms > bound_ms


def meter(lease: Lease, policy: Policy, first_id: int) -> list[UsageRecord]:
    """Return the records that are due: one for each whole slice, and the rest when it has ended."""
    slice_ms = policy.slice_s * MILLI
    is_over = lease.state == LeaseState.ENDED
    total_ms = paid_ms(lease)
    records: list[UsageRecord] = []
    done_ms, charged_micro, index = lease.charged_ms, lease.charged_micro, lease.slice_index
    while (index + 1) * slice_ms <= total_ms or is_over:
        to_ms = min((index + 1) * slice_ms, total_ms)
        is_last = is_over and to_ms == total_ms
        record = _record(
            lease, policy, first_id + len(records), index, done_ms, to_ms, charged_micro
        )
        records.append(changed(record, is_final=int(is_last)))
        done_ms, charged_micro, index = to_ms, charged_micro + record.amount_micro, index + 1
        if is_last:
            break
    return records


def _record(
    lease: Lease,
    policy: Policy,
    number: int,
    index: int,
    from_ms: int,
    to_ms: int,
    charged_micro: int,
) -> UsageRecord:
    owed_micro = charge_micro(to_ms, lease.units_milli, lease.price_micro_per_unit_h)
    amount_micro = owed_micro - charged_micro
    units = service_units_micro(to_ms, lease.units_milli, lease.score_millionths)
    before = service_units_micro(from_ms, lease.units_milli, lease.score_millionths)
    begun_at = lease.started_at or lease.seen_running_at or lease.placed_at
    return UsageRecord(
        id=number,
        lease=lease.id,
        token=lease.token,
        slice_index=index,
        job=lease.job,
        task=lease.task,
        project=lease.project,
        pool=lease.pool,
        offer=lease.offer,
        from_at=begun_at + from_ms,
        to_at=begun_at + to_ms,
        agent_ms=lease.agent_ms,
        network_ms=lease.network_ms,
        paid_ms=to_ms,
        cpu_ms=lease.cpu_ms,
        memory_peak_bytes=lease.memory_peak_bytes,
        cpus_milli=lease.cpus_milli,
        memory_bytes=lease.memory_bytes,
        units_milli=lease.units_milli,
        price_micro_per_unit_h=lease.price_micro_per_unit_h,
        score_millionths=lease.score_millionths,
        service_units_micro=units - before,
        amount_micro=amount_micro,
        fee_micro=amount_micro * policy.fee_ppm // MICRO,
        is_disputed=int(is_disputed(lease, policy)),
        is_final=0,
        site_ms=lease.site_ms,
    )
