"""Fair share: what each project has used of late, and what its running leases will add."""

from dataclasses import replace

from intertie.model.parties import Project
from intertie.model.policy import Policy
from intertie.model.states import LeaseState
from intertie.model.units import MICRO, MILLI, service_units_micro
from intertie.world.world import World

_STEPS = 1024


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
    return replace(
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
    use = decayed(world.projects.get(number), policy, now).usage_micro_su
    for lease in world.leases.where(project=number):
        if lease.state != LeaseState.SETTLED:
            job = world.jobs.get(lease.job)
            expected_s = min(job.expected_s or job.time_limit_s, job.time_limit_s)
            left_ms = max(0, expected_s * MILLI - lease.charged_ms)
            use += service_units_micro(left_ms, lease.units_milli, MICRO)
    return use
