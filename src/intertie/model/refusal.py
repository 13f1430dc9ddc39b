"""A "no" as a value: a code, what it was about, and the smallest change that would help."""

from collections.abc import Sequence
from dataclasses import dataclass, field

Value = int | str


@dataclass(frozen=True)
class Relaxation:
    """The smallest change to the request that would help; its text is in the catalogue."""

    code: str
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Why something was not sized, quoted, matched, placed or admitted. Never prose."""

    code: str
    values: dict[str, Value] = field(default_factory=dict)
    relaxation: Relaxation | None = None


# From the change that costs its asker least to the one that costs most.
_SMALLEST_FIRST = (
    "wait",
    "cohort_lends_cpus",
    "cohort_lends_memory",
    "cohort_lends_devices",
    "ask_again",
    "ask_slower",
    "use_profile",
    "price_kind_list",
    "top_up",
    "shorter_task",
    "fewer_cpus",
    "less_memory",
    "less_disk",
    "fewer_devices",
    "smaller_gang",
    "fewer_tasks",
    "later_deadline",
    "no_deadline",
    "raise_budget",
    "name_budget",
    "raise_price_limit",
    "other_device",
    "other_software",
    "other_software_stack",
    "drop_requirement",
    "other_kind",
    "not_as_gang",
    "wait_for_pool",
    "ask_provider",
    "ask_operator",
    "raise_quota_cpus",
    "raise_quota_memory",
    "raise_quota_devices",
    "allow_provider",
    "allow_latency",
    "allow_region",
    "lift_data_bound",
)


def nearest(refusals: Sequence[Refusal]) -> Refusal | None:
    """Return the refusal whose relaxation is smallest; one without a relaxation comes last."""
    return min(refusals, key=_distance, default=None)


def distance(relaxation: Relaxation) -> int:
    """Return how much a kind of change costs its asker, from 0 on."""
    return _SMALLEST_FIRST.index(relaxation.code)


def _distance(refusal: Refusal) -> int:
    relaxation = refusal.relaxation
    return len(_SMALLEST_FIRST) if relaxation is None else distance(relaxation)
