"""Why: each pool's reason for not running a job now, and the change that is nearest to a yes."""

import numpy as np

from intertie.cycle.affording import hold_for
from intertie.cycle.candidates import frees_in_s, refusal_of
from intertie.cycle.inbox import InboxRow, of_kind
from intertie.cycle.prices import is_promised, priced
from intertie.cycle.rooms import rooms_of
from intertie.cycle.views import free_cpus_milli, name_of, place_of, request_of, wallet_micro
from intertie.model.ids import encode
from intertie.model.job import Blocked, Job
from intertie.model.lease import Lease
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal, Relaxation, Value, nearest
from intertie.model.states import JobState, LeaseState, Outcome
from intertie.model.units import MILLI, charge_micro
from intertie.world.changes import Changes
from intertie.world.world import World


def explain(world: World, inbox: list[InboxRow], policy: Policy, now: int) -> Changes:
    """Return an answer for each row that asks why."""
    changes = Changes()
    for row in of_kind(inbox, "why"):
        job = world.jobs.find(row.body["job"])
        if job is None:
            known_as = encode("job", row.body["job"])
            changes.answer(row.id, Refusal("job_unknown", {"job": known_as}))
            continue
        position = _position(world, job)
        changes.answer(
            row.id, None, why(world, job, policy, now), job=job.id, queue_position=position
        )
    return changes


def why(world: World, job: Job, policy: Policy, now: int) -> Blocked:
    """Return every pool's refusal of the job, and the one whose relaxation is nearest."""
    if job.state == JobState.HELD:
        return Blocked((), Refusal("waits_for_dependency", {"job": _awaited(world, job)}))
    if job.state not in (JobState.QUEUED, JobState.RUNNING):
        return Blocked(())
    if not world.jobs.value(job.id, "queued"):
        return _at_sites(world, job, now)  # every task has its place.
    if world.projects.get(job.project).is_blocked:
        name = name_of(world, "project", job.project)
        return Blocked(
            (), Refusal("project_blocked", {"project": name}, Relaxation("ask_operator"))
        )
    refusals = tuple(
        (pool.id, refusal)
        for pool in world.pools.rows()
        if (refusal := _refusal(world, job, pool, policy, now)) is not None
    )
    return Blocked(refusals, nearest([refusal for _, refusal in refusals]))


def _at_sites(world: World, job: Job, now: int) -> Blocked:
    """Return where tasks have their place and wait in the site's own queue, and for how long."""
    waiting: dict[int, list[Lease]] = {}
    for lease in world.leases.where(job=job.id, state=LeaseState.PLACED, observed=0):
        if lease.waited_ms or lease.expected_start_at:
            waiting.setdefault(lease.pool, []).append(lease)
    refusals = []
    for number, leases in sorted(waiting.items()):
        pool = world.pools.get(number)
        first_at = min(lease.expected_start_at for lease in leases)
        about_s = max(1, (first_at - now) // MILLI)
        if not first_at:
            about_s = max(1, rooms_of(world, pool, request_of(world, job.id).resources).wait_s)
        values: dict[str, Value] = {"pool": place_of(world, pool), "tasks": len(leases)}
        refusal = Refusal("waits_at_site", values, Relaxation("wait", {"about_s": about_s}))
        refusals.append((number, refusal))
    return Blocked(tuple(refusals), nearest([refusal for _, refusal in refusals]))


def _awaited(world: World, job: Job) -> str:
    """Return the first job that this one still waits for."""
    for number in request_of(world, job.id).after:
        if world.jobs.get(number).outcome == Outcome.NONE:
            return encode("job", number)
    return ""


def _refusal(world: World, job: Job, pool: Pool, policy: Policy, now: int) -> Refusal | None:
    request = request_of(world, job.id)
    refusal = refusal_of(world, request, pool, job.project)
    if refusal is not None:
        return refusal
    kin = world.kins.of[world.jobs.value(job.id, "kin")]
    assert kin is not None
    if not is_promised(kin, pool.id):
        quote = encode("quote", job.quote)
        return Refusal("not_in_quote", {"quote": quote}, Relaxation("name_budget"))
    found = priced(world, kin, pool)
    assert found is not None
    offer, units, task_s = found
    cost = charge_micro(task_s * MILLI, units, offer.price_micro_per_unit_h)
    if job.limit_micro_per_task and cost > job.limit_micro_per_task:
        values: dict[str, Value] = {"needs_micro": cost, "limit_micro": job.limit_micro_per_task}
        relaxation = Relaxation("raise_budget", {"to_micro": cost * job.task_count})
        return Refusal("over_task_limit", values, relaxation)
    hold = hold_for(offer, units, task_s, job.time_limit_s, policy)
    tasks = world.jobs.value(job.id, "queued") if job.is_gang else 1
    return _money(world, job, hold * tasks) or _room(world, job, pool, now)


def _money(world: World, job: Job, hold: int) -> Refusal | None:
    wallet = wallet_micro(world, job.project)
    if hold > wallet:
        values: dict[str, Value] = {"needs_micro": hold, "left_micro": wallet}
        return Refusal(
            "over_wallet", values, Relaxation("top_up", {"missing_micro": hold - wallet})
        )
    left = job.budget_micro - job.spent_micro - job.held_micro
    if job.budget_micro and hold > left:
        needs = job.budget_micro + hold - left
        values = {"needs_micro": needs, "budget_micro": job.budget_micro}
        return Refusal("over_budget", values, Relaxation("raise_budget", {"to_micro": needs}))
    return None


def _room(world: World, job: Job, pool: Pool, now: int) -> Refusal | None:
    need = request_of(world, job.id).resources
    rooms = rooms_of(world, pool, need)
    if rooms.free and not job.is_gang:
        return None
    ends_s = frees_in_s(world, pool, now)
    wait_s = max(rooms.wait_s, ends_s[0] if ends_s else 0)
    wait = Relaxation("wait", {"about_s": wait_s}) if wait_s else None
    values: dict[str, Value] = {
        "pool": place_of(world, pool),
        "free_milli": free_cpus_milli(world, pool),
    }
    return Refusal("pool_full", values, wait)


def _position(world: World, job: Job) -> int:
    """Return the job's place among the waiting, 1 for the first; 0 when it does not wait."""
    jobs = world.jobs
    if job.state != JobState.QUEUED:
        return 0
    at, number = jobs.column("submitted_at"), jobs.column("id")
    before = (at < job.submitted_at) | ((at == job.submitted_at) & (number < job.id))
    return 1 + int(np.count_nonzero((jobs.column("state") == JobState.QUEUED) & before))
