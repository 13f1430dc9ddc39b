"""Builders of wire models that hide what does not matter to a test."""

from typing import Any

from intertie.wire.jobs import AttemptView, JobEvent, JobView, Receipt, TaskView
from intertie.wire.market import OfferView, QuoteView
from intertie.wire.parties import ProjectView, ProviderView
from intertie.wire.queue import QueueView

AT = 1_795_000_000_000


def a_job(**known: Any) -> JobView:
    given = {
        "id": "job-000c",
        "name": "digits",
        "project": "lab",
        "kind": "batch",
        "state": "running",
        "outcome": "none",
        "submitted_at": AT,
        "task_count": 1,
    }
    return JobView.model_validate(given | known)


def a_queue(**known: Any) -> QueueView:
    """One's own job behind another's."""
    start: dict[str, Any] = {
        "low_at": AT + 600_000,
        "likely_at": AT + 1_800_000,
        "high_at": AT + 3_600_000,
    }
    wait: dict[str, Any] = {"code": "wait", "values": {"about_s": 1800}}
    fewer: dict[str, Any] = {"code": "fewer_cpus", "values": {"to_milli": 6000}}
    own: dict[str, Any] = {
        "position": 2,
        "start": start,
        "job": "job-000c",
        "name": "digits",
        "project": "lab",
        "tasks": 3,
        "nearest": {"code": "pool_full", "values": {"pool": "west/rack"}, "relaxation": wait},
        "sooner": {"relaxation": fewer, "starts_at": AT, "gained_s": 1800},
    }
    share: dict[str, Any] = {"weight": 1, "used_su": 1.25, "used_su_by_weight": 1.25}
    tasks: dict[str, Any] = {"waiting_tasks": 3, "running_tasks": 1}
    given: dict[str, Any] = {
        "at": AT,
        "count": 3,
        "explained": 1,
        "waiting": [{"position": 1, "start": {"seen_until": AT + 5_000}}, own],
        "shares": [{"project": "lab"} | share | tasks, share | tasks],
    }
    return QueueView.model_validate(given | known)


def a_settled_job(**known: Any) -> JobView:
    given = {"state": "settled", "outcome": "done", "ended_at": AT + 12_000, "spent_micro": 12_345}
    return a_job(**(given | known))


def an_event(number: int, code: str = "job_queued", **values: Any) -> JobEvent:
    return JobEvent(number=number, at=AT + number, job="job-000c", code=code, values=values)


def an_attempt(**known: Any) -> AttemptView:
    given = {
        "lease": "lease-0001",
        "token": 1,
        "provider": "west",
        "pool": "rack",
        "node": "n1",
        "state": "running",
        "cause": "none",
        "placed_at": AT,
        "agent_s": 4.0,
        "amount_micro": 1000,
    }
    return AttemptView.model_validate(given | known)


def a_task(index: int = 0, *attempts: AttemptView, **known: Any) -> TaskView:
    given = {"index": index, "state": "running", "outcome": "none", "resumes": 0}
    return TaskView.model_validate(given | known | {"attempts": [a.model_dump() for a in attempts]})


def an_offer(**known: Any) -> OfferView:
    given = {
        "id": "offer-0001",
        "version": 1,
        "state": "listed",
        "provider": "west",
        "pool": "rack",
        "pool_state": "online",
        "engine": "host",
        "region": "gansu",
        "device_class": "",
        "price_micro_per_unit_h": 120_000,
        "price_micro_per_su": 240_000,
        "profile": "cpu@1",
        "score": 0.5,
        "score_source": "measured",
        "units_total": 2.0,
        "units_free": 1.5,
        "memory_free_bytes": 3 * 2**30,
        "latency_ms": 30,
        "latency_source": "declared",
        "grace_s": 10,
    }
    return OfferView.model_validate(given | known)


def a_quote(**known: Any) -> QuoteView:
    pool = {
        "provider": "west",
        "pool": "rack",
        "price_micro_per_unit_h": 120_000,
        "price_version": 1,
        "price_micro_per_su": 240_000,
        "units": 1.0,
        "task_s": 24,
        "task_micro": 800,
        "task_count": 5,
    }
    lab = pool | {"provider": "lab", "pool": "bench", "task_s": 12, "task_count": 3}
    later = {"code": "finishes_later", "values": {"by_s": 90}, "text": "later"}
    bound = {"code": "data_bound_elsewhere", "text": "bound"}
    bound["values"] = {"data": "scans", "bound_to": "lab", "provider": "night"}
    bound["relaxation"] = {
        "code": "lift_data_bound",
        "values": {"data": "scans", "provider": "night"},
    }
    option = {"fee_micro": 80, "starts_in_s": 0, "finishes_in_s": 60}
    given = {
        "id": "quote-0007",
        "project": "lab",
        "state": "firm",
        "made_at": AT,
        "until": AT + 120_000,
        "sizing": {
            "task_count": 8,
            "expected_s": 12,
            "service_units": 0.0267,
            "profile": "cpu@1",
            "source": "stated",
        },
        "options": [
            option
            | {"code": "spread", "pools": [pool, lab], "cost_micro": 6_400, "is_chosen": True}
            | {"is_soonest": True},
            option
            | {"code": "only:4", "pools": [pool | {"task_count": 8}], "cost_micro": 5_123}
            | {"is_cheapest": True, "finishes_in_s": 150, "lost_because": later},
        ],
        "lost": [{"provider": "night", "pool": "den", "refusal": bound}],
    }
    return QuoteView.model_validate(given | known)


def a_receipt(**known: Any) -> Receipt:
    line = {
        "task": 0,
        "lease": "lease-0001",
        "provider": "west",
        "pool": "rack",
        "outcome": "done",
        "cause": "exited",
        "agent_s": 11.9,
        "network_s": 12.1,
        "paid_s": 11.9,
        "difference_percent": 1.7,
        "is_disputed": False,
        "cpus_asked": 1.0,
        "cpu_s_used": 11.2,
        "memory_asked_bytes": 512 * 2**20,
        "memory_peak_bytes": 85 * 2**20,
        "price_micro_per_unit_h": 120_000,
        "units": 1.0,
        "service_units": 0.0017,
        "amount_micro": 397,
        "fee_micro": 7,
    }
    evicted = line | {"lease": "lease-0002", "provider": "night", "outcome": "none"}
    part = {
        "provider": "west",
        "tasks": 1,
        "attempts": 1,
        "agent_s": 11.9,
        "network_s": 12.1,
        "service_units": 0.0017,
        "charged_micro": 397,
        "fee_micro": 7,
        "paid_micro": 390,
    }
    given = {
        "job": "job-000c",
        "name": "digits",
        "project": "lab",
        "state": "settled",
        "outcome": "done",
        "lines": [line, evicted | {"cause": "reclaimed"}],
        "by_provider": [part],
        "paid_micro": 397,
        "fee_micro": 7,
        "held_micro": 1200,
        "released_micro": 803,
        "quoted_micro": 400,
        "device_h": 0.0033,
        "service_units": 0.0017,
        "profile": "cpu@1",
        "tasks_total": 1,
        "tasks_resumed": 1,
        "meters_difference_percent_max": 1.7,
        "sum_micro": 0,
    }
    return Receipt.model_validate(given | known)


def a_project(**known: Any) -> ProjectView:
    given = {
        "id": "project-0002",
        "name": "lab",
        "weight": 1,
        "is_blocked": False,
        "wallet_micro": 100_000_000,
        "held_micro": 0,
        "spent_micro": 0,
        "used_su": 0.0,
    }
    return ProjectView.model_validate(given | known)


def a_provider(**known: Any) -> ProviderView:
    pool = {
        "id": "pool-0001",
        "name": "rack",
        "state": "online",
        "engine": "host",
        "region": "gansu",
        "cpus": 2.0,
        "lent_cpus": 2.0,
        "used_cpus": 0.5,
        "memory_bytes": 2**32,
        "leases": 1,
        "not_enforced": ["memory_limit"],
        "score": 0.5,
        "score_source": "measured",
    }
    given = {"id": "provider-0003", "name": "west", "is_blocked": False, "pools": [pool]}
    return ProviderView.model_validate(given | known)
