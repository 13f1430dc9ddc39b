"""The receipt: what each attempt used, from every meter, and where the money went."""

from collections import defaultdict

from sqlalchemy import Connection

from intertie.api.job_views import Names, cause_of, charged
from intertie.metering.usage import meters_ms
from intertie.model.ids import encode
from intertie.model.job import Contract, Job, Task
from intertie.model.lease import Attempted, Hold, Lease
from intertie.model.ledger import Posting
from intertie.model.states import UNPAID, HoldState, JobState, LeaseState, Outcome
from intertie.model.units import HOUR_MS, MICRO, MILLI
from intertie.run.observing import outcome_of
from intertie.store import reading
from intertie.store.reading_money import postings_of_job
from intertie.wire.jobs import Receipt, ReceiptLine, ReceiptProvider


def receipt(connection: Connection, job: Job) -> Receipt:
    """Return the receipt of a job so far; it is final once the job has settled."""
    column = reading.column
    leases = reading.rows(connection, Lease, column(Lease, "job") == job.id)
    tasks = reading.rows(connection, Task, column(Task, "job") == job.id)
    holds = reading.rows(connection, Hold, column(Hold, "job") == job.id)
    contract: Contract = reading.document(connection, "contract", job.id)
    index = {task.id: task.index for task in tasks}
    paid = charged(connection, (job.id,))
    names = reading.pool_names(connection)
    told = reading.documents(connection, "attempt", (each.id for each in leases))
    lines = [
        _line(each, index[each.task], names, paid.get((each.id,)), told.get(each.id, Attempted()))
        for each in leases
    ]
    open_holds = [hold for hold in holds if hold.state == HoldState.OPEN]
    return Receipt(
        job=encode("job", job.id),
        name=reading.document(connection, "request", job.id).name,
        project=reading.document(connection, "project", job.project).name,
        state=JobState(job.state).name.lower(),
        outcome=Outcome(job.outcome).name.lower(),
        lines=lines,
        by_provider=_by_provider(lines),
        paid_micro=sum(line.amount_micro for line in lines),
        fee_micro=sum(line.fee_micro for line in lines),
        held_micro=sum(h.amount_micro - h.posted_micro - h.released_micro for h in open_holds),
        released_micro=sum(hold.released_micro for hold in holds),
        quoted_micro=job.quoted_micro or None,
        device_h=sum(each.charged_ms * each.units_milli for each in leases) / (HOUR_MS * MILLI),
        service_units=sum(line.service_units for line in lines),
        profile=contract.sizing.profile,
        tasks_total=job.task_count,
        tasks_resumed=sum(task.resumes > 0 for task in tasks),
        meters_difference_percent_max=max((line.difference_percent for line in lines), default=0.0),
        sum_micro=_sum(postings_of_job(connection, job.id)),
    )


def difference_percent(meters: tuple[int, ...]) -> float:
    """Return by how much the meters differ, in percent of the largest; 0 when none ran."""
    return 100 * (max(meters) - min(meters)) / max(meters) if max(meters) else 0.0


def _line(
    lease: Lease, task: int, names: Names, paid: tuple[int, ...] | None, told: Attempted
) -> ReceiptLine:
    _, amount, fee, service_units, disputed = paid or (0, 0, 0, 0, 0)
    provider, pool = names[lease.pool]
    is_over = lease.state in (LeaseState.ENDED, LeaseState.SETTLED)
    never_ran = lease.cause in UNPAID
    return ReceiptLine(
        task=task,
        lease=encode("lease", lease.id),
        provider=provider,
        pool=pool,
        outcome=(outcome_of(lease) if is_over else Outcome.NONE).name.lower(),
        cause=cause_of(lease),
        agent_s=lease.agent_ms / MILLI,
        network_s=lease.network_ms / MILLI,
        site_s=lease.site_ms / MILLI if lease.site_ms else None,
        has_independent_meter=lease.site_ms > 0,
        site_node=told.node,
        image=told.image,
        paid_s=lease.charged_ms / MILLI,
        difference_percent=0.0 if never_ran else difference_percent(meters_ms(lease)),
        is_disputed=disputed > 0,
        cpus_asked=lease.cpus_milli / MILLI,
        cpu_s_used=lease.cpu_ms / MILLI,
        memory_asked_bytes=lease.memory_bytes,
        memory_peak_bytes=lease.memory_peak_bytes,
        price_micro_per_unit_h=lease.price_micro_per_unit_h,
        units=lease.units_milli / MILLI,
        service_units=service_units / MICRO,
        amount_micro=amount,
        fee_micro=fee,
    )


def _by_provider(lines: list[ReceiptLine]) -> list[ReceiptProvider]:
    grouped: dict[str, list[ReceiptLine]] = defaultdict(list)
    for line in lines:
        grouped[line.provider].append(line)
    return [
        ReceiptProvider(
            provider=provider,
            tasks=len({line.task for line in own}),
            attempts=len(own),
            agent_s=sum(line.agent_s for line in own),
            network_s=sum(line.network_s for line in own),
            service_units=sum(line.service_units for line in own),
            charged_micro=sum(line.amount_micro for line in own),
            fee_micro=sum(line.fee_micro for line in own),
            paid_micro=sum(line.amount_micro - line.fee_micro for line in own),
        )
        for provider, own in sorted(grouped.items())
    ]


def _sum(postings: list[Posting]) -> int:
    deltas: dict[int, int] = defaultdict(int)
    for posting in postings:
        deltas[posting.source] -= posting.amount_micro
        deltas[posting.destination] += posting.amount_micro
    return sum(deltas.values())
