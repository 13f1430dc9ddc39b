"""What an operator may say of the policy by name, checked before anything is done with it."""

from dataclasses import fields, replace
from typing import Any

from intertie.model.policy import Policy
from intertie.placement.given import BACKFILLS
from intertie.placement.ordering import ORDERS
from intertie.placement.shares import SHARES_BY

# The fields by which who waits and who goes first is decided; the rest is heartbeat and money.
PLACING = (
    "ageing_s",
    "backfill",
    "failures_max",
    "fair_share_half_life_s",
    "order",
    "share_by",
    "starved_s",
)
CHOICES: dict[str, tuple[str, ...]] = {
    "backfill": BACKFILLS,
    "order": ORDERS,
    "share_by": SHARES_BY,
}
MOST = 10**9


class BadPolicy(ValueError):
    """A field of a policy cannot be so; `field` names it, and the message says what it may be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def policy_with(policy: Policy, told: dict[str, Any]) -> Policy:
    """Return a policy with some fields of PLACING changed; raise BadPolicy for what cannot be."""
    kinds = {field.name: type(field.default) for field in fields(Policy)}
    for name, value in told.items():
        if name not in PLACING:
            raise BadPolicy(name, f"is none of {', '.join(PLACING)}")
        if type(value) is not kinds[name]:
            raise BadPolicy(name, f"must be {kinds[name].__name__}, not {value!r}")
        if name in CHOICES and value not in CHOICES[name]:
            raise BadPolicy(name, f"{value!r} is none of {', '.join(CHOICES[name])}")
        if isinstance(value, int) and not 0 <= value <= MOST:
            raise BadPolicy(name, f"is {value}; it must be from 0 to {MOST}")
    return replace(policy, **told)
