"""Leases.

A task's right to an allocation until an instant. A lease and an attempt are one to one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lease:
    """One attempt of one task on one node. Columnar.

    `token` grows with each lease of the same task. `until` is the contract; the session of its
    agent is renewed apart. `agent_ms` and `network_ms` are the two meters; `is_taken` once the
    agent has spoken of it. `price_micro_per_unit_h` with `offer` is this lease's own contract.
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
