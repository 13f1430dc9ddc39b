"""Forecast: when what waits is expected to start, by the place step called forward in time.

There is no rule here: at each instant at which something is expected to end, `fill_all` says who
starts, and it believes of lengths what it believes in a round of today. What is here is time, once
for each of three opinions of how long work takes: short, likely and long.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from intertie.cycle.newcomers import Newcomer, place_in, with_newcomer
from intertie.cycle.orders import Orders, Supply, orders_of, supply_of
from intertie.cycle.placing import Scene, fill_all, scene_of
from intertie.cycle.running import begun_s, ends_s, running_on
from intertie.cycle.standing import takes_of
from intertie.cycle.views import history_of, request_of
from intertie.model.forecast import Start
from intertie.model.policy import Policy
from intertie.model.states import LeaseState
from intertie.model.units import MICRO, MILLI, charge_micro
from intertie.placement.given import LARGEST, POOL, WAIT, Kept, Releases
from intertie.placement.keeping import nothing_kept
from intertie.placement.shares import hold
from intertie.planner.sizing import quantiles_of
from intertie.world.table import Ints, Mask
from intertie.world.world import ROOM, World

LOW, LIKELY, HIGH = 0, 1, 2
# A forecast looks at so many instants at most, and at fewer where each costs much: in jobs, nodes
# and leases that the kernel looks at.
_STEPS_MAX = 512
# So many jobs that wait, and so many leases, are looked up in their projects' histories.
_FORESEEN_MAX = 1_000
_STEPS_MIN = 8
_LOOKS_MAX = 40_000_000
# Longer work is as good as endless, and shorter than where int64 wraps.
_WORK_S_MAX = 2**42


class Runs(NamedTuple):
    """What holds room; axes [run].

    In `ends` milliseconds from now it gives back size[run, resource] at its node, and to its payer
    and its job (rows, or -1) what was set aside for it and not needed, and amount[run, limited] and
    part[run, shared] of what its payer holds; `believed` is when the kernel is told that it will.
    """

    believed: Ints
    ends: Ints
    node: Ints
    size: Ints
    payer: Ints
    job: Ints
    spare: Ints
    amount: Ints
    part: Ints


@dataclass(frozen=True)
class Outlook:
    """All that a forecast begins with.

    `ends` has axes [opinion, run]; `spans_s` [opinion, job], by a reference unit; `scores` are the
    pools'; `spare` has axes [kin, pool]: what a task leaves of its hold.
    """

    orders: Orders
    supply: Supply
    scene: Scene
    runs: Runs
    ends: Ints
    spans_s: Ints
    limit_s: Ints
    scores: Ints
    spare: Ints
    policy: Policy
    steps: int


class Starts(NamedTuple):
    """When the first task of each job is placed and its last one ends, ms from now; axes [job].

    LARGEST where it is not. `order` are the rows in the order of their starts. It was looked as
    far as `until`, in so many steps; `is_cut` where that was not far enough to see all.
    """

    at: Ints
    done: Ints
    order: list[int]
    until: int
    steps: int
    is_cut: bool


def outlook_of(
    world: World, policy: Policy, now: int, newcomer: Newcomer | None = None
) -> Outlook | None:
    """Return what a forecast begins with; None where nothing waits or nothing is there.

    A newcomer is a job that nobody has admitted yet: it stands in the queue as if it were.
    """
    supply = supply_of(world)
    orders = orders_of(world, supply, policy, now, is_for_later=True)
    jobs, at = world.jobs, 0
    slots = np.array([jobs.slots[n] for n in orders.numbers.tolist()] if orders else [], np.int64)
    spans, limit_s = spans_s(world, slots), jobs.column("time_limit_s")[slots]
    if newcomer is not None and supply.nodes:
        at = place_in(world, orders, newcomer)
        orders = with_newcomer(world, supply, orders, newcomer, at, policy, now)
        limit_s = np.insert(limit_s, at, newcomer.job.time_limit_s)
        spans = np.insert(spans, at, _stated_s(newcomer.job.expected_s, limit_s[at]), axis=1)
    if orders is None:
        return None
    scene = scene_of(world, orders, supply, policy, now)
    runs, ends = _runs(world, orders, supply, scene, policy, now)
    offers = [world.pools.value(pool, "offer") for pool in supply.pools]
    scores = [world.offers.value(n, "score_millionths") if n else 0 for n in offers]
    looks = len(limit_s) + len(supply.nodes) * (len(orders.kins) + len(runs.node) // 4 + 1)
    return Outlook(
        orders=orders,
        supply=supply,
        scene=scene,
        runs=runs,
        ends=ends,
        spans_s=spans,
        limit_s=limit_s,
        scores=np.maximum(1, np.array(scores, np.int64)),
        spare=np.maximum(0, orders.columns.hold - orders.prices.micro),
        policy=policy,
        steps=max(_STEPS_MIN, min(_STEPS_MAX, _LOOKS_MAX // looks)),
    )


def spans_s(world: World, slots: Ints) -> Ints:
    """Return how long a task of each job takes, short, likely and long; axes [opinion, job].

    By what the project's history says of such tasks where it says something, of the first
    `_FORESEEN_MAX` jobs; likely is what a round of today believes.
    """
    jobs = world.jobs
    found = _stated_s(*(jobs.column(name)[slots] for name in ("expected_s", "time_limit_s")))
    known: dict[tuple[object, ...], tuple[int, int, int, int]] = {}
    owners = jobs.column("project")[slots[:_FORESEEN_MAX]].tolist()
    numbers = jobs.column("id")[slots[:_FORESEEN_MAX]].tolist()
    for row, (number, project) in enumerate(zip(numbers, owners, strict=True)):
        history = history_of(world, project)
        if not history.runs:
            continue
        request = request_of(world, number)
        key = (project, request.name, request.resources, request.time_limit_s)
        if key not in known:
            known[key] = quantiles_of(history, request)
        low_s, _, high_s, samples = known[key]
        if samples:
            found[LOW, row] = min(low_s, found[LIKELY, row])
            found[HIGH, row] = max(high_s, found[LIKELY, row])
    return found


def _stated_s(expected_s: Ints | int, limit_s: Ints) -> Ints:
    """Return how long a task of each job takes, short, likely and long; axes [opinion, job].

    By a reference unit, except where only its limit is known: that is the same everywhere.
    """
    is_known = np.asarray(expected_s) > 0
    likely = np.where(is_known, np.minimum(expected_s, limit_s), limit_s)
    return np.stack([np.where(is_known, likely // 2, 1), likely, limit_s])


def look_ahead(
    outlook: Outlook,
    opinion: int = LIKELY,
    wanted: Mask | None = None,
    is_whole: bool = False,
    until: int = LARGEST,
) -> Starts:
    """Return who starts when, by one opinion of lengths; no further than `until`.

    With rows that are wanted no further than all of these have started, or are placed whole.
    """
    scene, runs = _copied(outlook.scene), outlook.runs._replace(ends=outlook.ends[opinion])
    count = len(scene.jobs.tasks)
    wanted = np.ones(count, np.bool_) if wanted is None else wanted
    at, done = np.full(count, LARGEST), np.zeros(count, np.int64)
    order: list[int] = []
    now, is_cut = 0, False
    for step in range(outlook.steps + 1):
        placed = fill_all(scene, outlook.orders.is_promised)
        for row in dict.fromkeys(row for row, _ in placed):
            if at[row] == LARGEST:
                at[row] = now
                order.append(row)
        begun = _begun(outlook, scene, placed, opinion, now)
        np.maximum.at(done, begun.job, begun.ends)
        runs = Runs(*(np.concatenate(pair) for pair in zip(runs, begun, strict=True)))
        is_over = (scene.jobs.tasks == 0) if is_whole else (at < LARGEST)
        if is_over[wanted].all() or not len(runs.node):
            break
        following = int(runs.ends.min())
        if following > until or step == outlook.steps:
            is_cut = True
            break
        now = following
        scene, runs = _end(scene, runs, now)
    done[(scene.jobs.tasks > 0) | (at == LARGEST)] = LARGEST
    return Starts(at, done, order, now, step + 1, is_cut)


def kept_now(outlook: Outlook) -> Kept:
    """Return what is kept at this instant, and for whom."""
    scene = _copied(outlook.scene)
    fill_all(scene, outlook.orders.is_promised)
    return scene.kept


def starts_of(three: tuple[Starts, Starts, Starts], row: int, now: int) -> Start:
    """Return one job's expected start by all three opinions; a range that is known whole."""
    at = [int(each.at[row]) for each in three]
    is_cut = int(any(each.is_cut for each in three))
    seen_until = now + min(each.until for each in three)
    if max(at) == LARGEST:
        low_at = 0 if min(at) == LARGEST else now + min(at)
        return Start(low_at=low_at, seen_until=seen_until, is_cut=is_cut)
    return Start(now + min(at), now + at[LIKELY], now + max(at), seen_until)


def _runs(
    world: World, orders: Orders, supply: Supply, scene: Scene, policy: Policy, now: int
) -> tuple[Runs, Ints]:
    """Return what runs, and when it ends by each opinion; axes [opinion, run]."""
    leases, jobs = world.leases, world.jobs
    slots = running_on(world, supply.nodes)
    job = leases.column("job_slot")[slots]
    score = leases.column("score_millionths")[slots]
    limit_s = jobs.column("time_limit_s")[job]
    walls = _wall_s(spans_s(world, job), limit_s, np.maximum(1, score))
    said = np.maximum(0, (begun_s(world, slots) + walls) * MILLI - now)
    # Of who is longer than expected half of what is left is as likely as anything.
    said[LIKELY] = np.where(said[LIKELY] > 0, said[LIKELY], said[HIGH] // 2)
    ends = said + _overheads_ms(policy)[:, None]
    grace_ms = leases.column("grace_s")[slots] * MILLI
    is_stopping = leases.column("state")[slots] == LeaseState.STOPPING
    ends = _whole_s(np.where(is_stopping, np.minimum(ends, grace_ms), ends))
    owners = leases.column("project")[slots]
    projects = orders.standing.projects
    payer = np.minimum(np.searchsorted(projects, owners), len(projects) - 1)
    payer = np.where(np.array(projects, np.int64)[payer] == owners, payer, -1)
    kins, kin = np.unique(jobs.column("kin")[job], return_inverse=True)
    of_kin = [world.kins.of[number] for number in kins.tolist()]
    takes = takes_of(orders.standing, scene.payers.tree, of_kin, len(slots))
    row_of = {number: row for row, number in enumerate(orders.numbers.tolist())}
    numbers = leases.column("job")[slots].tolist()
    runs = Runs(
        believed=np.maximum(0, ends_s(world, slots) * MILLI - now),
        ends=ends[LIKELY],
        node=np.searchsorted(supply.nodes, leases.column("node")[slots]),
        size=np.stack([leases.column(name)[slots] for name in ROOM], axis=1),
        payer=payer,
        job=np.array([row_of.get(number, -1) for number in numbers], np.int64),
        spare=_spare(world, slots, payer, ends[LIKELY]),
        amount=takes.amount[kin],
        part=takes.part[kin],
    )
    return runs, ends


def _spare(world: World, slots: Ints, payer: Ints, ends: Ints) -> Ints:
    """Return what each run is expected to leave of its hold, where its payer waits for more."""
    found = np.zeros(len(slots), np.int64)
    for at in np.flatnonzero(payer >= 0).tolist():
        lease = world.leases.get(int(world.leases.column("id")[slots[at]]))
        hold = world.holds.get(lease.id)
        more = charge_micro(int(ends[at]), lease.units_milli, lease.price_micro_per_unit_h)
        left = hold.amount_micro - hold.posted_micro - hold.released_micro
        found[at] = max(0, min(left - more, LARGEST))
    return found


def _begun(
    outlook: Outlook, scene: Scene, placed: list[tuple[int, int]], opinion: int, now: int
) -> Runs:
    """Return the runs of the tasks that were placed just now."""
    row, node = np.array(placed, np.int64).reshape(-1, 2).T
    kin, pool = scene.jobs.kin[row], scene.places.traits[node, POOL]
    length_s = _wall_s(outlook.spans_s[opinion][row], outlook.limit_s[row], outlook.scores[pool])
    wait_ms = scene.places.traits[node, WAIT] * MILLI
    late_ms = _overheads_ms(outlook.policy)[opinion]
    return Runs(
        believed=now + scene.jobs.length[row],
        ends=now + _whole_s(wait_ms + length_s * MILLI + late_ms),
        node=node,
        size=scene.kins.need[kin],
        payer=scene.kins.project[kin],
        job=row,
        spare=outlook.spare[kin, pool],
        amount=scene.payers.takes.amount[kin],
        part=scene.payers.takes.part[kin],
    )


def _end(scene: Scene, runs: Runs, now: int) -> tuple[Scene, Runs]:
    """Give back what has ended by an instant; return what is left, seen from there."""
    over, places = runs.ends <= now, scene.places
    pool = places.traits[runs.node[over], POOL]
    np.add.at(places.free, runs.node[over], runs.size[over])
    np.add.at(places.lent, pool, runs.size[over])
    spare = np.minimum(runs.spare[over], LARGEST // max(1, len(pool)))
    for left, whose in (
        (scene.payers.wallet, runs.payer[over]),
        (scene.jobs.budget, runs.job[over]),
    ):
        more = np.zeros_like(left)
        np.add.at(more, whose[whose >= 0], spare[whose >= 0])
        left[:] = np.minimum(left, LARGEST - more) + more
    if runs.amount.shape[1] + runs.part.shape[1]:
        for at in np.flatnonzero(over & (runs.payer >= 0)).tolist():
            hold(scene.payers, int(runs.payer[at]), runs.amount[at], runs.part[at], -1)
    runs = Runs(*(each[~over] for each in runs))
    due = np.maximum(0, runs.believed - now)
    releases = Releases(due, runs.node, runs.size, np.argsort(due, kind="stable"))
    return scene._replace(releases=releases, kept=nothing_kept(places)), runs


def _copied(scene: Scene) -> Scene:
    """Return a scene of which nothing is shared that fills change."""
    jobs, payers = scene.jobs, scene.payers
    places = scene.places._replace(free=scene.places.free.copy(), lent=scene.places.lent.copy())
    tree = payers.tree._replace(held=payers.tree.held.copy(), part=payers.tree.part.copy())
    payers = payers._replace(used=payers.used.copy(), wallet=payers.wallet.copy(), tree=tree)
    return scene._replace(
        jobs=jobs._replace(tasks=jobs.tasks.copy(), budget=jobs.budget.copy()),
        places=places,
        payers=payers,
        kept=nothing_kept(places),
    )


def _wall_s(spans_s: Ints, limit_s: Ints, scores: Ints) -> Ints:
    """Return how long work takes at a speed; a bare time limit does not scale with it."""
    scaled = np.minimum(limit_s, -(-np.minimum(spans_s, _WORK_S_MAX) * MICRO // scores))
    return np.where(spans_s < limit_s, scaled, np.minimum(limit_s, _WORK_S_MAX))


def _overheads_ms(policy: Policy) -> Ints:
    """Return how much longer than its work a task holds its room: to start, and to be told of."""
    start_ms = policy.startup_s * MILLI
    return np.array([0, start_ms, start_ms + policy.poll_s * MILLI], np.int64)


def _whole_s(ms: Ints) -> Ints:
    """Return lengths rounded up to whole seconds, at least one: ends that are near come at once."""
    found: Ints = np.maximum(1, -(-ms // MILLI)) * MILLI
    return found
