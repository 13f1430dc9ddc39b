"""The frozen value that holds every choice a decision depends on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """The network's choices. Shares of a whole are in millionths (`_ppm`)."""

    fee_ppm: int = 20_000
    quote_s: int = 120
    lease_s: int = 300
    lease_s_min: int = 60
    renew_for_s: int = 20
    grace_s: int = 5
    margin_s: int = 5
    slice_s: int = 60
    poll_s: int = 10
    busy_poll_ms: int = 1_000
    failures_max: int = 3
    fair_share_half_life_s: int = 7 * 24 * 3600
    ageing_s: int = 3_600
    meter_tolerance_ppm: int = 20_000
    tasks_max: int = 10_000
    startup_s: int = 2
    retain_s: int = 24 * 3600
