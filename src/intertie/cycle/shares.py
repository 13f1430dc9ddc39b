"""Fair share: what each project has used of late, and what its running leases will add."""

import numpy as np

from intertie.model.parties import Project
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import LeaseState
from intertie.model.units import HOUR_MS, MILLI
from intertie.world.table import Ints
from intertie.world.world import World

_STEPS = 1024
_LARGEST = 2**62


def decayed(project: Project, policy: Policy, now: int) -> Project:
    """Return the project with its use decayed to `now`, in whole steps of half_life / 1024.

    Integers throughout, so that a replay on any machine gives the same number.
    """
    step_ms = max(1, policy.fair_share_half_life_s * MILLI // _STEPS)
    steps = (now - project.usage_at) // step_ms
    if steps <= 0:
        return project
    left = project.usage_micro_su
    halvings, rest = divmod(steps, _STEPS)
    left >>= min(halvings, 62)
    return changed(
        project,
        usage_micro_su=left * _power(rest) // _SCALE,
        usage_at=project.usage_at + steps * step_ms,
    )


_SCALE = 10**18
_ONE_STEP = 999_323_327_502_650_752  # 2 ** (-1/1024), in units of 10 ** -18.


def _power(steps: int) -> int:
    value, base = _SCALE, _ONE_STEP
    while steps:
        if steps & 1:
            value = value * base // _SCALE
        base = base * base // _SCALE
        steps >>= 1
    return value


def project_use(world: World, number: int, policy: Policy, now: int) -> int:
    """Return a project's decayed use and what its unsettled leases should add, in micro-SU.

    A lease that has just ended counts too: it is charged only after this round has placed.
    """
    return int(project_uses(world, [number], policy, now)[0])


def project_uses(world: World, numbers: list[int], policy: Policy, now: int) -> Ints:
    """Return `project_use` of many projects, given in order; axes [project]."""
    leases, jobs = world.leases, world.jobs
    slots = np.flatnonzero(leases.used() & (leases.column("state") != LeaseState.SETTLED))
    owners = leases.column("project")[slots]
    slots = slots[np.isin(owners, numbers)]
    job = leases.column("job_slot")[slots]
    limit_s, stated_s = jobs.column("time_limit_s")[job], jobs.column("expected_s")[job]
    expected_s = np.where(stated_s > 0, np.minimum(stated_s, limit_s), limit_s)
    left_ms = np.maximum(0, expected_s * MILLI - leases.column("charged_ms")[slots])
    units = leases.column("units_milli")[slots]
    # `service_units_micro` at the reference speed, cut where int64 would wrap.
    more = np.minimum(left_ms, _LARGEST // np.maximum(1, units)) * units * MILLI // HOUR_MS
    found = np.array(
        [decayed(world.projects.get(n), policy, now).usage_micro_su for n in numbers], np.int64
    )
    rows = np.searchsorted(numbers, leases.column("project")[slots])
    np.add.at(found, rows, np.minimum(more, _LARGEST // max(1, len(slots))))
    return found
