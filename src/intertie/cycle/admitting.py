"""Admit: a request becomes a job with tasks, or a refusal with nothing half-created."""

import numpy as np

from intertie.cycle.inbox import InboxRow, request_in
from intertie.cycle.promising import promise
from intertie.cycle.quoting import price, rejected
from intertie.cycle.views import history_of, name_of, wallet_micro
from intertie.model.ids import encode
from intertie.model.job import Contract, Job, LockedPrice, Task
from intertie.model.policy import Policy
from intertie.model.quote import Option, QuoteTerms
from intertie.model.refusal import Refusal, Relaxation, Value
from intertie.model.request import Request
from intertie.model.rows import changed
from intertie.model.sizing import Sizing
from intertie.model.states import JobState, Outcome, QuoteState, TaskState, advance
from intertie.planner.sizing import size
from intertie.world.changes import Changes
from intertie.world.table import Ints
from intertie.world.world import World

KINDS = ("batch", "service", "session")
TAKEN = ("batch", "session")
# Reasons that pass by themselves: a pool that is away may come back.
# From so many tasks on they enter as one block of columns.
_BLOCK_MIN = 16
PASSING = frozenset({"pool_offline", "pool_draining", "owner_reclaimed", "not_measured"})


def admit(world: World, row: InboxRow, policy: Policy, now: int) -> Changes:
    """Return the job that one row asks for, or the stop that it asks for."""
    changes = Changes()
    if row.kind == "job":
        _job(world, changes, row, policy, now)
    elif row.kind == "cancel":
        _cancel(world, changes, row)
    return changes


def _job(world: World, changes: Changes, row: InboxRow, policy: Policy, now: int) -> None:
    request = request_in(row)
    refusal = _refuse(world, request, row.actor, policy)
    if refusal is not None:
        changes.answer(row.id, refusal)
        return
    terms = _terms(world, request, row, policy, now)
    if isinstance(terms, Refusal):
        _without_terms(world, changes, row, request, terms, policy, now)
        return
    option = _option(terms, row.body.get("option") or "")
    refusal = option if isinstance(option, Refusal) else _too_poor(world, row.actor, option)
    if isinstance(option, Refusal) or refusal is not None:
        changes.answer(row.id, refusal)
        return
    _create(world, changes, row, request, terms.sizing, option, policy, now)


def _without_terms(
    world: World,
    changes: Changes,
    row: InboxRow,
    request: Request,
    refusal: Refusal,
    policy: Policy,
    now: int,
) -> None:
    """Refuse, unless some pool is only away for now: then the job waits for it at list prices."""
    reasons = rejected(world, request, row.actor)
    may_come = reasons is not None and any(each.code in PASSING for _, each in reasons.pools)
    sizing = size(request, history_of(world, row.actor))
    if request.quote or not may_come or isinstance(sizing, Refusal):
        changes.answer(row.id, refusal, None if request.quote else reasons)
        return
    _create(world, changes, row, request, sizing, None, policy, now)


def _too_poor(world: World, project: int, option: Option) -> Refusal | None:
    wallet = wallet_micro(world, project)
    one_task = min(pool.task_micro for pool in option.pools)
    if wallet >= one_task:
        return None
    values: dict[str, Value] = {"needs_micro": one_task, "has_micro": wallet}
    return Refusal(
        "wallet_empty", values, Relaxation("top_up", {"missing_micro": one_task - wallet})
    )


def _refuse(world: World, request: Request, project: int, policy: Policy) -> Refusal | None:
    owner = world.projects.find(project)
    if owner is None:
        return Refusal("project_unknown", {"project": encode("project", project)})
    if owner.is_blocked:
        return Refusal(
            "project_blocked",
            {"project": name_of(world, "project", project)},
            Relaxation("ask_operator"),
        )
    if request.kind not in TAKEN:
        values: dict[str, Value] = {"kind": request.kind, "supported": ", ".join(TAKEN)}
        return Refusal("kind_not_supported", values, Relaxation("other_kind", {"kind": "batch"}))
    if request.kind == "session" and request.task_count > 1:
        values = {"needs": request.task_count, "max": 1}
        return Refusal("too_many_tasks", values, Relaxation("fewer_tasks", {"to": 1}))
    if request.task_count > policy.tasks_max:
        values = {"needs": request.task_count, "max": policy.tasks_max}
        return Refusal(
            "too_many_tasks", values, Relaxation("fewer_tasks", {"to": policy.tasks_max})
        )
    for number in request.after:
        before = world.jobs.find(number)
        if before is None or before.project != project:
            return Refusal("dependency_unknown", {"job": encode("job", number)})
        if has_failed(before):
            return Refusal("dependency_failed", {"job": encode("job", number)})
    return None


def _terms(
    world: World, request: Request, row: InboxRow, policy: Policy, now: int
) -> QuoteTerms | Refusal:
    """Return the terms of the quote that the request names, else those of this instant."""
    if not request.quote:
        return price(world, request, row.actor, policy, now)
    quote, known_as = world.quotes.find(request.quote), encode("quote", request.quote)
    if quote is None or quote.project != row.actor:
        return Refusal("quote_unknown", {"quote": known_as}, Relaxation("ask_again"))
    if quote.state == QuoteState.ACCEPTED:
        return Refusal(
            "quote_used",
            {"quote": known_as, "job": encode("job", quote.job)},
            Relaxation("ask_again"),
        )
    if quote.state == QuoteState.LAPSED or row.at >= quote.until:
        return Refusal(
            "quote_lapsed", {"quote": known_as, "until_at": quote.until}, Relaxation("ask_again")
        )
    if _priced_part(request) != _priced_part(world.documents["asked", quote.id]):
        return Refusal("quote_other_request", {"quote": known_as}, Relaxation("ask_again"))
    terms: QuoteTerms = world.documents["quote", quote.id]
    return terms


def _priced_part(request: Request) -> Request:
    """Return the request without what no price depends on: a quote holds for any program."""
    return changed(
        request, quote=0, command=(), script="", workdir="", environment=(), values=(), results=()
    )


def _option(terms: QuoteTerms, code: str) -> Option | Refusal:
    if not code:
        return terms.options[terms.chosen]
    named = {"cheapest": terms.cheapest, "soonest": terms.soonest, "chosen": terms.chosen}
    if code in named:
        return terms.options[named[code]]
    for option in terms.options:
        if option.code == code:
            return option
    return Refusal("option_unknown", {"option": code, "options": "cheapest, soonest, chosen"})


def _create(
    world: World,
    changes: Changes,
    row: InboxRow,
    request: Request,
    sizing: Sizing,
    option: Option | None,
    policy: Policy,
    now: int,
) -> None:
    """Make the job with its tasks, unless its deadline cannot be promised."""
    job = _job_of(row, request, sizing, option)
    promised = option.pools if option else ()
    locked = tuple(LockedPrice(pool.pool, pool.offer) for pool in promised)
    contract, is_held, ends_at = Contract(sizing, locked), job.state == JobState.HELD, 0
    if request.deadline_at and not is_held:
        answer = promise(world, job, request, contract, policy, now)
        if isinstance(answer, Refusal):
            changes.answer(row.id, answer)
            return
        ends_at, contract = answer, changed(contract, deadline_at=request.deadline_at)
    changes.put(job)
    changes.document("request", job.id, request)
    changes.document("contract", job.id, contract)
    block = _tasks(world, job, is_held, now)
    if job.task_count < _BLOCK_MIN:
        changes.put(*(Task(*column) for column in block.T.tolist()))
    else:
        changes.blocks.append(("Task", block))
    if request.quote:
        accepted = world.quotes.get(request.quote)
        state = advance(QuoteState(accepted.state), QuoteState.ACCEPTED)
        changes.put(changed(accepted, state=state, job=job.id))
    if is_held:
        changes.event(job.id, "job_held", job=encode("job", request.after[0]))
    else:
        changes.event(job.id, "job_queued")
    if ends_at:
        at = request.deadline_at
        changes.event(job.id, "deadline_promised", deadline_at=at, finish_at=ends_at)
    elif request.deadline_at:
        changes.event(job.id, "deadline_not_promised", deadline_at=request.deadline_at)
    changes.answer(row.id, job=job.id)


def _job_of(row: InboxRow, request: Request, sizing: Sizing, option: Option | None) -> Job:
    return Job(
        id=row.id,
        project=row.actor,
        state=JobState.HELD if request.after else JobState.QUEUED,
        outcome=Outcome.NONE,
        kind=KINDS.index(request.kind),
        submitted_at=row.at,
        ended_at=0,
        quote=request.quote,
        task_count=request.task_count,
        is_gang=request.is_gang,
        time_limit_s=request.time_limit_s,
        expected_s=0 if sizing.source == "time_limit" else sizing.expected_s,
        budget_micro=request.budget_micro,
        spent_micro=0,
        held_micro=0,
        quoted_micro=option.cost_micro if option else 0,
        limit_micro_per_task=_limit_micro(request, option),
        is_soonest=int(request.prefer == "soonest"),
        is_cancelled=0,
        priority=request.priority,
    )


def _limit_micro(request: Request, option: Option | None) -> int:
    """Return the most one task may cost; 0 where nobody said: no quote was taken, no budget named.

    It is what was quoted, or a task's even part of the budget where that is more.
    """
    quoted = 0
    if request.quote and option is not None:
        quoted = max(pool.task_micro for pool in option.pools)
    return max(quoted, request.budget_micro // request.task_count)


def _tasks(world: World, job: Job, is_held: bool, now: int) -> Ints:
    """Return a job's tasks as one block; axes [column, task]. Their numbers follow each other."""
    axis = world.tasks.axis
    block = np.zeros((len(axis), job.task_count), np.int64)
    block[axis["index"]] = np.arange(job.task_count)
    block[axis["id"]] = world.next.get("Task", 1) + block[axis["index"]]
    block[axis["job"]] = job.id
    block[axis["state"]] = TaskState.HELD if is_held else TaskState.QUEUED
    block[axis["queued_at"]] = now
    return block


def has_failed(job: Job) -> bool:
    """Return whether what waits for this job waits for nothing."""
    return job.outcome in (Outcome.FAILED, Outcome.CANCELLED)


def _cancel(world: World, changes: Changes, row: InboxRow) -> None:
    """Cancel: what waits ends, what runs is told to stop; cancelling twice is fine."""
    job = world.jobs.find(row.body["job"])
    if job is None or job.project != row.actor:
        changes.answer(row.id, Refusal("job_unknown", {"job": encode("job", row.body["job"])}))
        return
    changes.answer(row.id, job=job.id)
    if job.state in (JobState.ENDED, JobState.SETTLED) or job.is_cancelled:
        return
    changes.put(changed(job, is_cancelled=1))
    changes.event(job.id, "cancel_asked")
