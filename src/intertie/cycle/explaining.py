"""Why: each pool's reason for not running a job now, and the change that is nearest to a yes."""

from fractions import Fraction

import numpy as np

from intertie.cycle.affording import hold_for
from intertie.cycle.ahead import Ahead
from intertie.cycle.candidates import frees_in_s, refusal_of
from intertie.cycle.inbox import InboxRow, of_kind
from intertie.cycle.prices import is_promised, priced
from intertie.cycle.quotas import quota_refusal
from intertie.cycle.rooms import rooms_of
from intertie.cycle.scoring import remember_start
from intertie.cycle.shares import project_uses
from intertie.cycle.views import free_cpus_milli, name_of, place_of, request_of, wallet_micro
from intertie.model.forecast import Queue, Share, Waiting
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

# So many jobs of the queue are told, and so many of them what would start them sooner; no more
# what-ifs than so many steps of forecasts take.
SHOWN_MAX, EXPLAINED_MAX, STEPS_MAX = 200, 20, 400


def explain(world: World, inbox: list[InboxRow], policy: Policy, now: int) -> Changes:
    """Return an answer for each row that asks why, or for the queue."""
    changes, ahead = Changes(), Ahead(world, policy, now)
    for row in of_kind(inbox, "why", "queue"):
        if row.kind == "queue":
            changes.answer(row.id, None, _queue(world, changes, ahead, row.actor))
            continue
        job = world.jobs.find(row.body["job"])
        if job is None:
            known_as = encode("job", row.body["job"])
            changes.answer(row.id, Refusal("job_unknown", {"job": known_as}))
            continue
        position = ahead.position_of(job.id) if job.state == JobState.QUEUED else 0
        blocked = why(ahead, job)
        if blocked.expected is not None:
            remember_start(world, changes, job.id, blocked.expected, now)
        changes.answer(row.id, None, blocked, job=job.id, queue_position=position)
    return changes


def why(ahead: Ahead, job: Job, steps_max: int = STEPS_MAX) -> Blocked:
    """Return every pool's refusal of the job, and the one whose relaxation is nearest.

    With it comes when the job is expected to start, and what would start it sooner.
    """
    world = ahead.world
    if job.state == JobState.HELD:
        return Blocked((), Refusal("waits_for_dependency", {"job": _awaited(world, job)}))
    if job.state not in (JobState.QUEUED, JobState.RUNNING):
        return Blocked(())
    if not world.jobs.value(job.id, "queued"):
        return _at_sites(world, job, ahead.now)  # every task has its place.
    if world.projects.get(job.project).is_blocked:
        name = name_of(world, "project", job.project)
        return Blocked(
            (), Refusal("project_blocked", {"project": name}, Relaxation("ask_operator"))
        )
    if (over := quota_refusal(world, job, ahead.policy, ahead.now)) is not None:
        return Blocked((), over, ahead.start_of(job.id))
    refusals = tuple(
        (pool.id, refusal)
        for pool in world.pools.rows()
        if (refusal := _refusal(ahead, job, pool)) is not None
    )
    said = [refusal for _, refusal in refusals]
    told = [each.relaxation for each in said if each.relaxation is not None]
    return Blocked(
        refusals, nearest(said), ahead.start_of(job.id), ahead.sooner(job.id, told, steps_max)
    )


def _queue(world: World, changes: Changes, ahead: Ahead, project: int) -> Queue:
    """Return the queue as a project may see it, or an operator (0): in order of the starts.

    Of what is shown the first are also told why, and what would start them sooner.
    """
    found: list[Waiting] = []
    numbers, steps, explained = ahead.in_order(), STEPS_MAX, 0
    own = {n for n in numbers if project in (0, world.jobs.value(n, "project"))}
    shown = [n for n in numbers if n in own][:SHOWN_MAX]
    shown += [n for n in numbers if n not in own][: SHOWN_MAX - len(shown)]
    for number in sorted(shown, key=ahead.position_of):
        start, job = ahead.start_of(number), world.jobs.get(number)
        assert start is not None, "who is in the order was looked at"
        if number not in own:
            found.append(Waiting(ahead.position_of(number), start))
            continue
        remember_start(world, changes, number, start, ahead.now)
        blocked = Blocked(())
        if explained < EXPLAINED_MAX:
            before = ahead.steps
            blocked, explained = why(ahead, job, steps), explained + 1
            steps = max(0, steps - (ahead.steps - before))
        found.append(
            Waiting(
                position=ahead.position_of(number),
                start=start,
                job=number,
                project=job.project,
                tasks=world.jobs.value(number, "queued"),
                nearest=blocked.nearest,
                sooner=blocked.sooner,
            )
        )
    shares = _shares(world, ahead, project)
    return Queue(tuple(found), len(numbers), explained, shares)


def _shares(world: World, ahead: Ahead, project: int) -> tuple[Share, ...]:
    """Return what each project has used by its weight, the least first; others' are nameless."""
    numbers = world.projects.numbers(world.projects.used())
    used = project_uses(world, numbers, ahead.policy, ahead.now).tolist()
    counts = {number: [0, 0] for number in numbers}
    jobs = world.jobs
    for at, name in enumerate(("queued", "running")):
        slots = np.flatnonzero(jobs.column(name) > 0)
        owners, tasks = jobs.column("project")[slots].tolist(), jobs.column(name)[slots].tolist()
        for owner, count in zip(owners, tasks, strict=True):
            counts[owner][at] += count
    found = [
        Share(
            project=number if project in (0, number) else 0,
            weight=world.projects.value(number, "weight"),
            used_micro_su=each,
            waiting_tasks=counts[number][0],
            running_tasks=counts[number][1],
        )
        for number, each in zip(numbers, used, strict=True)
        if each or any(counts[number]) or number == project
    ]
    found.sort(key=lambda s: (Fraction(s.used_micro_su, s.weight), -s.weight))
    own = [share for share in found if share.project]
    others = [share for share in found if not share.project]
    shown = own[:SHOWN_MAX] + others[: max(0, SHOWN_MAX - len(own))]
    return tuple(sorted(shown, key=lambda s: Fraction(s.used_micro_su, s.weight)))


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


def _refusal(ahead: Ahead, job: Job, pool: Pool) -> Refusal | None:
    world = ahead.world
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
    hold = hold_for(offer, units, task_s, job.time_limit_s, ahead.policy)
    tasks = world.jobs.value(job.id, "queued") if job.is_gang else 1
    return _money(world, job, hold * tasks) or _room(ahead, job, pool, tasks)


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


def _room(ahead: Ahead, job: Job, pool: Pool, tasks: int) -> Refusal | None:
    """Return that there is no room, or that it is kept for who comes first."""
    world, now = ahead.world, ahead.now
    rooms = rooms_of(world, pool, request_of(world, job.id).resources)
    ends_s = frees_in_s(world, pool, now)
    wait_s = ahead.wait_s(job.id) or max(rooms.wait_s, ends_s[0] if ends_s else 0)
    wait = Relaxation("wait", {"about_s": wait_s}) if wait_s else None
    values: dict[str, Value] = {"pool": place_of(world, pool)}
    if rooms.free < tasks:
        values["free_milli"] = free_cpus_milli(world, pool)
        return Refusal("pool_full", values, wait)
    head, at = ahead.kept_for()
    if head in (0, job.id):
        return None  # it goes in the next round.
    is_own = world.jobs.value(head, "project") == job.project
    values |= {"job": encode("job", head) if is_own else "", "until_at": at}
    return Refusal("kept_for", values, wait)
