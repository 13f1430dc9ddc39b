"""Whether a pool could ever run a request: each guard's reason, and the smallest change."""

from typing import Any

import pytest

from intertie.model.parties import PoolFacts
from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import DataReference, Request, Resources, Software
from intertie.model.units import GIB
from intertie.placement.constraints import refuse
from tests.builders import a_node, a_request, some_facts, some_terms


def refusal(request: Request, facts: PoolFacts | None = None) -> Refusal | None:
    return refuse(request, facts or some_facts(), provider="lab", project="small")


def test_a_request_without_conditions_is_not_refused() -> None:
    assert refusal(a_request()) is None


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"data": (DataReference("d", 0, ("west",)),)}, "data_bound_elsewhere", "lift_data_bound"),
    ({"providers": ("west",)}, "provider_not_chosen", "allow_provider"),
    ({"residency": ("US",)}, "residency_elsewhere", "allow_region"),
    ({"latency_ms_max": 4}, "latency_too_high", "allow_latency"),
    ({"price_kinds": ("spot",)}, "price_kind_not_offered", "price_kind_list"),
    ({"software": Software("python", ">=3.12")}, "needs_software", "other_software"),
    ({"requires": ("sandbox", "pids_limit")}, "not_enforced", "drop_requirement"),
    ({"resources": Resources(cpus_milli=2001)}, "not_enough_cpus", "fewer_cpus"),
    ({"resources": Resources(memory_bytes=9 * GIB)}, "not_enough_memory", "less_memory"),
    ({"resources": Resources(disk_bytes=999 * GIB)}, "not_enough_disk", "less_disk"),
    ({"resources": Resources(device_count=1)}, "not_enough_devices", "fewer_devices"),
    ({"software": Software("ruby")}, "needs_software", "other_software_stack"),
    ({"software": Software(image="x@sha256:0")}, "no_containers", "other_software_stack"),
    ({"kind": "session"}, "no_sessions", "other_kind"),
    ({"software": Software(lock="0")}, "needs_software", "other_software_stack"),
    (
        {"resources": Resources(device_class="a", device_count=1)},
        "unknown_device_class",
        "other_device",
    ),
]


@pytest.mark.parametrize(("known", "code", "relaxation"), CASES, ids=[c[1] for c in CASES])
def test_each_condition_that_is_not_met_is_the_reason_with_the_smallest_change(
    known: dict[str, Any], code: str, relaxation: str
) -> None:
    found = refusal(a_request(**known))
    assert found is not None
    assert found.code == code
    assert found.relaxation is not None
    assert found.relaxation.code == relaxation


def test_a_provider_admits_only_the_projects_that_it_names() -> None:
    closed = some_facts(terms=some_terms(projects=("others",)))
    found = refusal(a_request(), closed)
    assert found is not None
    assert found.code == "provider_does_not_admit"
    assert found.relaxation == Relaxation("ask_provider", {"provider": "lab"})
    assert refusal(a_request(), some_facts(terms=some_terms(projects=("small",)))) is None


@pytest.mark.parametrize(
    "known",
    [
        {"data": (DataReference("d", 0, ("west", "lab")),)},
        {"residency": ("cn-east",)},
        {"residency": ("CN", "US")},
        {"latency_ms_max": 5},
        {"software": Software("python", "3.11")},
        {"resources": Resources(cpus_milli=2000, memory_bytes=8 * GIB, disk_bytes=100 * GIB)},
    ],
)
def test_a_condition_that_is_just_met_refuses_nothing(known: dict[str, Any]) -> None:
    assert refusal(a_request(**known)) is None


def test_the_relaxation_is_enough_to_be_accepted() -> None:
    found = refusal(a_request(resources=Resources(cpus_milli=64_000)))
    assert found is not None
    assert found.relaxation is not None
    relaxed = int(found.relaxation.values["to_milli"])
    assert refusal(a_request(resources=Resources(cpus_milli=relaxed))) is None


def test_a_task_must_fit_one_node_however_many_there_are() -> None:
    two = some_facts(nodes=(a_node(), a_node(name="n2", memory_bytes=GIB)))
    assert refusal(a_request(resources=Resources(cpus_milli=4000)), two) is not None
    assert refusal(a_request(resources=Resources(memory_bytes=8 * GIB)), two) is None
