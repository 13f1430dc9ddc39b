"""Offers and quotes as the network shows them."""

from pydantic import Field

from intertie.wire.base import Answer, Instant, Message, Micro, RefusalBody
from intertie.wire.jobspec import JobSpec


class OfferView(Answer):
    """What one pool offers now. The unit is one device, or one core where there are no devices.

    `expected_wait_s` is how long a task would wait at the site, at its least waiting node.
    """

    id: str
    version: int
    state: str
    provider: str
    pool: str
    pool_state: str
    engine: str
    region: str
    device_class: str = Field(description="every class that is there, with commas")
    devices: dict[str, int] = Field(default={}, description="devices by class")
    price_micro_per_unit_h: Micro
    price_micro_per_su: Micro | None = None
    profile: str
    score: float | None = None
    score_source: str
    units_total: float
    units_free: float
    memory_free_bytes: int
    expected_wait_s: int = 0
    latency_ms: int
    latency_source: str
    grace_s: int
    software: dict[str, str] = {}
    abilities: list[str] = []
    not_enforced: list[str] = []


class AskQuote(Message):
    """Ask what a job would cost and when it would finish."""

    spec: JobSpec


class SizingView(Answer):
    """What the job needs. `source` says where the duration came from."""

    task_count: int
    expected_s: int = Field(description="one task on one reference unit")
    service_units: float
    profile: str
    source: str
    samples: int = 0


class PricedPoolView(Answer):
    """One pool in an option."""

    provider: str
    pool: str
    price_micro_per_unit_h: Micro
    price_version: int
    price_micro_per_su: Micro | None = None
    units: float
    task_s: int
    task_micro: Micro
    task_count: int
    expected_wait_s: int = Field(default=0, description="until a task starts, by the site's word")


class OptionView(Answer):
    """One way to run the job. `lost_because` says why it was not chosen."""

    code: str
    pools: list[PricedPoolView]
    cost_micro: Micro
    fee_micro: Micro
    starts_in_s: int
    finishes_in_s: int
    is_cheapest: bool = False
    is_soonest: bool = False
    is_chosen: bool = False
    lost_because: RefusalBody | None = None


class LostOfferView(Answer):
    """An offer that cannot take the job at all, and why."""

    provider: str
    pool: str
    refusal: RefusalBody


class QuoteView(Answer):
    """A quote: firm for this project until `until`."""

    id: str
    project: str
    state: str
    made_at: Instant
    until: Instant
    sizing: SizingView
    options: list[OptionView]
    lost: list[LostOfferView]
