"""Quotes: what this job would cost and when it would finish, by option, firm until an instant."""

from dataclasses import dataclass

from intertie.model.refusal import Refusal
from intertie.model.sizing import Sizing


@dataclass(frozen=True)
class Quote:
    """A quote's row. Columnar. Its options are in the document `QuoteTerms`."""

    id: int
    project: int
    state: int
    made_at: int
    until: int
    job: int


@dataclass(frozen=True)
class PricedPool:
    """One pool in an option: its price version, and the tasks it would take.

    `task_s` is how long one task runs there, `units_milli` what it is billed for, `wait_s` how
    long it would wait at the site before that.
    """

    pool: int
    offer: int
    price_micro_per_unit_h: int
    price_version: int
    score_millionths: int
    units_milli: int
    task_s: int
    task_micro: int
    task_count: int
    wait_s: int = 0


@dataclass(frozen=True)
class Option:
    """One way to run the job.

    On one pool, or spread over several. `lost` says why it was not chosen.
    """

    code: str
    pools: tuple[PricedPool, ...]
    cost_micro: int
    fee_micro: int
    starts_in_s: int
    finishes_in_s: int
    lost: Refusal | None = None


@dataclass(frozen=True)
class LostOffer:
    """An offer that cannot take the job at all, and why."""

    pool: int
    refusal: Refusal


@dataclass(frozen=True)
class QuoteTerms:
    """The document of a quote: every option, which is cheapest, soonest and chosen (by index)."""

    sizing: Sizing
    options: tuple[Option, ...]
    cheapest: int
    soonest: int
    chosen: int
    lost: tuple[LostOffer, ...]
