"""One example for each main message of the contract; a test reads each back as its model."""

from typing import Any

_JOB_SPEC: dict[str, Any] = {
    "name": "digits",
    "command": ["python3", "train.py"],
    "workdir": "4f5a1c0e6f6b2f0d1f1c6f0f5d7e8a9b0c1d2e3f405162738495a6b7c8d9e0f1",
    "software": {"stack": "python", "version": ">=3.11"},
    "resources": {"cpus": "1", "memory": "512MiB"},
    "array": {"grid": {"RATE": ["0.1", "0.3"], "WIDTH": ["32", "64"]}},
    "time_limit": "10m",
    "budget": "2.50",
    "checkpoint": {"path": "state.npz", "grace": "5s"},
    "results": ["out/"],
}
_SIZING = {
    "task_count": 4,
    "expected_s": 60,
    "service_units": 0.0667,
    "profile": "cpu@1",
    "source": "stated",
    "samples": 0,
}
_OPTION = {
    "code": "spread",
    "pools": [
        {
            "provider": "lab",
            "pool": "lab",
            "price_micro_per_unit_h": 100_000,
            "price_version": 1,
            "price_micro_per_su": 98_040,
            "units": 1.0,
            "task_s": 59,
            "task_micro": 1_639,
            "task_count": 4,
        }
    ],
    "cost_micro": 6_556,
    "fee_micro": 131,
    "starts_in_s": 0,
    "finishes_in_s": 118,
    "is_cheapest": True,
    "is_soonest": True,
    "is_chosen": True,
    "lost_because": None,
}
_LINE = {
    "task": 0,
    "lease": "lease-0001",
    "provider": "lab",
    "pool": "lab",
    "outcome": "done",
    "cause": "exited",
    "agent_s": 58.2,
    "network_s": 58.4,
    "paid_s": 58.2,
    "difference_percent": 0.34,
    "is_disputed": False,
    "cpus_asked": 1.0,
    "cpu_s_used": 57.9,
    "memory_asked_bytes": 536_870_912,
    "memory_peak_bytes": 81_264_640,
    "price_micro_per_unit_h": 100_000,
    "units": 1.0,
    "service_units": 0.0165,
    "amount_micro": 1_617,
    "fee_micro": 32,
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "JobSpec": _JOB_SPEC,
    "SubmitJob": {"spec": _JOB_SPEC, "quote": "quote-0007", "option": "cheapest"},
    "AskQuote": {"spec": _JOB_SPEC},
    "QuoteView": {
        "id": "quote-0007",
        "project": "small-lab",
        "state": "firm",
        "made_at": 1_795_341_600_000,
        "until": 1_795_341_720_000,
        "sizing": _SIZING,
        "options": [_OPTION],
        "lost": [
            {
                "provider": "west",
                "pool": "west",
                "refusal": {
                    "code": "needs_software",
                    "values": {"stack": "python", "version": ">=3.11"},
                    "text": "The software python >=3.11 is not offered here.",
                },
            }
        ],
    },
    "Receipt": {
        "job": "job-0008",
        "name": "digits",
        "project": "small-lab",
        "state": "settled",
        "outcome": "done",
        "lines": [_LINE],
        "by_provider": [
            {
                "provider": "lab",
                "tasks": 1,
                "attempts": 1,
                "agent_s": 58.2,
                "network_s": 58.4,
                "service_units": 0.0165,
                "charged_micro": 1_617,
                "fee_micro": 32,
                "paid_micro": 1_585,
            }
        ],
        "paid_micro": 1_617,
        "fee_micro": 32,
        "held_micro": 0,
        "released_micro": 6_717,
        "quoted_micro": 1_639,
        "device_h": 0.01617,
        "service_units": 0.0165,
        "profile": "cpu@1",
        "tasks_total": 1,
        "tasks_resumed": 0,
        "meters_difference_percent_max": 0.34,
        "sum_micro": 0,
    },
    "CreateProject": {"name": "small-lab", "weight": 1, "trial": "100"},
    "CreateProvider": {"name": "lab"},
    "CreateCohort": {"name": "physics", "weight": 3},
    "SetShare": {
        "weight": 2,
        "cohort": "cohort-0009",
        "quota": {"cpus": {"quota": 64, "borrow": 32}, "devices": {"a100-80g-sxm": {"quota": 8}}},
    },
    "TopUp": {"amount": "25.00"},
    "Problem": {
        "type": "/problems/bad_spec",
        "title": "The job spec is wrong",
        "status": 422,
        "code": "bad_spec",
        "errors": [
            {
                "field": "spec.resources.memory",
                "message": "write a size such as 512MiB or 2GiB, not 'much'",
            }
        ],
    },
}
