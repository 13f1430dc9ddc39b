"""The frozen value that holds every choice a decision depends on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """The network's choices. Shares of a whole are in millionths (`_ppm`).

    A door lets one project ask `asks_per_s_max` times a second, and `asks_burst` times at once; it
    takes nobody's while the inbox waits longer than `inbox_wait_ms_max`. Agents are told to ask so
    seldom that all of them make no more than `syncs_per_s_max`, yet twice in `renew_for_s`: a
    network of more than `syncs_per_s_max * renew_for_s / 2` agents needs a larger one of the two.

    Behind the first job that finds no room nobody is placed (`fcfs`), or anybody (`first-fit`), or
    only who does not delay it (`easy`), the shortest first (`easy-sjbf`). A deadline is promised if
    it is kept even where everything takes as `long` as it may, or as long as is `likely`.

    Between projects the turn is who has the least by weight: of decayed use (`share_by` = `use`),
    of what is held now, by the dominant share (`dominant`), or nobody's before the other but who
    came first (`none`). Within a project jobs are in `order`, one of `placement.ordering.ORDERS`.
    Who has waited for `ageing_s` goes first within its project. A project that was given nothing
    for `starved_s`, and has a job that waited as long, is served before all who are above their
    floors, whatever it used before; one that is served again and again waits for its turn.
    """

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
    starved_s: int = 24 * 3600
    share_by: str = "use"
    order: str = "fifo"
    backfill: str = "easy"
    promise_by: str = "long"
    meter_tolerance_ppm: int = 20_000
    tasks_max: int = 100_000
    startup_s: int = 2
    retain_s: int = 24 * 3600
    retain_max: int = 100_000
    keep_inbox_s: int = 24 * 3600
    asks_per_s_max: int = 200
    asks_burst: int = 1_000
    inbox_wait_ms_max: int = 5_000
    syncs_per_s_max: int = 500
