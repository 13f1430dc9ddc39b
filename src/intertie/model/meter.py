"""What is read from meters and what is made of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One raw meter reading of one attempt by its agent, cumulative since the attempt began.

    `site_ms` is what the site's own accounting says, 0 where it says nothing.
    """

    ran_ms: int
    cpu_ms: int
    memory_peak_bytes: int
    site_ms: int = 0


@dataclass(frozen=True)
class Observation:
    """What an agent saw of one attempt at one instant, as numbers. Never changed, may be late.

    `state` is one of `run.observing.STATE_WORDS`, `cause` a `Cause`.
    """

    state: int
    cause: int
    exit_code: int
    signal: int
    started_at: int
    sample: Sample
    expected_start_at: int = 0


@dataclass(frozen=True)
class UsageRecord:
    """Who used what, from when to when, and what was paid. Columnar, never changed.

    One for each slice of a lease: (lease, token, slice_index) is unique. `agent_ms`,
    `network_ms`, `site_ms` (0: no such meter) and `paid_ms` are cumulative; `amount_micro` is this
    slice's part.
    """

    id: int
    lease: int
    token: int
    slice_index: int
    job: int
    task: int
    project: int
    pool: int
    offer: int
    from_at: int
    to_at: int
    agent_ms: int
    network_ms: int
    paid_ms: int
    cpu_ms: int
    memory_peak_bytes: int
    cpus_milli: int
    memory_bytes: int
    units_milli: int
    price_micro_per_unit_h: int
    score_millionths: int
    service_units_micro: int
    amount_micro: int
    fee_micro: int
    is_disputed: int
    is_final: int
    site_ms: int = 0
