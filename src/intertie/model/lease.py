"""Leases.

A task's right to an allocation until an instant. A lease and an attempt are one to one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lease:
    """One attempt of one task on one node. Columnar.

    `token` grows with each lease of the same task. `until` is the contract; the session of its
    agent is renewed apart. `agent_ms` and `network_ms` are the two meters, `site_ms` a third one
    where the site keeps accounts; `is_taken` once the agent has spoken of it.
    `price_micro_per_unit_h` with `offer` is this lease's own contract.

    `waited_ms` is for how long `until` was moved on while the task waited at its site: that time
    costs nothing and nothing is held for it. `expected_start_at` is the site's last word, 0: none.
    """

    id: int
    token: int
    job: int
    task: int
    project: int
    pool: int
    node: int
    state: int
    cause: int
    stop_cause: int
    grace_s: int
    exit_code: int
    signal: int
    cpus_milli: int
    memory_bytes: int
    disk_bytes: int
    device_count: int
    units_milli: int
    offer: int
    price_micro_per_unit_h: int
    score_millionths: int
    placed_at: int
    started_at: int
    seen_running_at: int
    seen_ended_at: int
    stop_at: int
    until: int
    agent_ms: int
    network_ms: int
    cpu_ms: int
    memory_peak_bytes: int
    charged_ms: int
    charged_micro: int
    slice_index: int
    observed: int
    is_taken: int
    is_result: int
    site_ms: int = 0
    expected_start_at: int = 0
    waited_ms: int = 0


@dataclass(frozen=True)
class Attempted:
    """The document of a lease: on which of its machines the site put it, and the image's digest."""

    node: str = ""
    image: str = ""


@dataclass(frozen=True)
class Hold:
    """Money set aside for one lease, from its project's wallet into escrow.

    Columnar. Same id as the lease.
    """

    id: int
    project: int
    job: int
    state: int
    amount_micro: int
    posted_micro: int
    released_micro: int
