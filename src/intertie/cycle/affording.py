"""What is set aside for a lease: it never outlives its hold."""

from intertie.model.offer import Offer
from intertie.model.policy import Policy
from intertie.model.units import MILLI, charge_micro


def hold_for(offer: Offer, units: int, task_s: int, time_limit_s: int, policy: Policy) -> int:
    """Return what one task needs to have set aside before it is placed there."""
    ms = lease_ms(time_limit_s, task_s, offer.grace_s, policy)
    return hold_micro(ms, offer.grace_s, units, offer.price_micro_per_unit_h)


def lease_ms(time_limit_s: int, task_s: int, grace_s: int, policy: Policy) -> int:
    """Return how long a first lease runs: twice the expected time, within the policy's bounds.

    What it can cost is set aside at once, so that a short task asks for little; it is renewed
    while it runs, never beyond its time limit.
    """
    whole_s = policy.startup_s + time_limit_s + grace_s
    wanted_s = max(policy.lease_s_min, policy.startup_s + 2 * task_s + grace_s)
    return min(policy.lease_s, whole_s, wanted_s) * MILLI


def hold_micro(ms: int, grace_s: int, units: int, price_micro_per_unit_h: int) -> int:
    """Return what a lease of this length can cost at most, its grace included."""
    return charge_micro(ms + grace_s * MILLI, units, price_micro_per_unit_h)
