"""What people write becomes whole numbers, and an error names its field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from intertie.model.plain import to_plain
from intertie.model.request import Checkpoint, DataReference
from intertie.model.units import GIB, MIB
from intertie.wire.digest import digest_text, lease_mark
from intertie.wire.jobspec import JobSpec
from intertie.wire.quantities import (
    bytes_of,
    instant_of,
    micro_of,
    milli_of,
    seconds_of,
    written_micro,
    written_milli,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("512MiB", 512 * MIB), ("2g", 2 * GIB), ("1 kB", 1000), (7, 7), ("1.5GiB", 3 * GIB // 2)],
)
def test_a_size_is_read_into_bytes(text: Any, size_bytes: int) -> None:
    assert bytes_of(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1:30:00", 5400), ("2:05", 125)],
)
def test_a_duration_is_read_into_seconds(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


def test_a_fraction_is_rounded_up_so_that_nothing_asked_for_is_lost() -> None:
    assert micro_of("0.0000001") == 1
    assert milli_of("0.0001") == 1
    assert seconds_of("0.5s") == 1


@given(st.integers(0, 2**60))
def test_an_amount_survives_being_written_and_read(micro: int) -> None:
    assert micro_of(written_micro(micro)) == micro
    assert milli_of(written_milli(micro)) == micro


@pytest.mark.parametrize("text", ["-1", "lots", "", True, None, "NaN", "1e99", "5 parsecs"])
def test_what_is_no_quantity_is_refused_in_every_unit(text: Any) -> None:
    for read in (bytes_of, seconds_of, micro_of, milli_of):
        with pytest.raises(ValueError, match=r"write|too large|negative"):
            read(text)


def test_an_instant_needs_its_time_zone() -> None:
    assert instant_of("1970-01-01T08:00:01+08:00") == 1000
    with pytest.raises(ValueError, match="time zone"):
        instant_of("2026-11-22T18:00:00")
    with pytest.raises(ValueError, match="instant"):
        instant_of("tomorrow")


def a_spec(**known: Any) -> dict[str, Any]:
    return {"command": ["true"]} | known


def test_a_spec_becomes_a_request_with_every_unit_written_out() -> None:
    spec = a_spec(
        resources={"cpus": 0.5, "memory": "2GiB", "devices": {"class": "a100", "count": 2}},
        time_limit="10m",
        budget="2.50",
        array={"grid": {"LR": [0.1, 1], "SEED": [1]}},
        data=[{"name": "digits", "bound_to": ["lab"]}],
        checkpoint={"path": "state"},
        after=["job-000c"],
        gang=True,
        environment={"A": "b"},
    )
    request = JobSpec.model_validate(spec).to_request(quote=7)
    assert request.resources.cpus_milli == 500
    assert (request.resources.device_class, request.resources.device_count) == ("a100", 2)
    assert (request.time_limit_s, request.budget_micro) == (600, 2_500_000)
    assert request.task_count == 2
    assert request.values == ((("LR", "0.1"), ("SEED", "1")), (("LR", "1"), ("SEED", "1")))
    assert request.data == (DataReference("digits", 0, ("lab",)),)
    assert request.checkpoint == Checkpoint("state")
    assert (request.after, request.is_gang, request.quote) == ((12,), 1, 7)
    assert json.loads(json.dumps(to_plain(request))) == to_plain(request)


def test_a_spec_survives_the_way_over_the_wire() -> None:
    spec = JobSpec.model_validate(
        a_spec(resources={"cpus": "1.5"}, budget="0.000001", deadline="2026-11-22T18:00:00Z")
    )
    again = JobSpec.model_validate_json(spec.model_dump_json(by_alias=True))
    assert again.to_request() == spec.to_request()


@pytest.mark.parametrize(
    ("known", "field"),
    [
        ({"resources": {"cpus": 0}}, "cpus"),
        ({"resources": {"memory": "1KiB"}}, "memory"),
        ({"resources": {"memory": "lots"}}, "memory"),
        ({"budget": "-1"}, "budget"),
        ({"budget": 0}, "budget"),
        ({"time_limit": 0}, "time_limit"),
        ({"array": {"count": 0}}, "count"),
        ({"array": {"count": 1, "values": [{"A": 1}]}}, "array"),
        ({"array": {"grid": {"A": []}}}, "array"),
        ({"environment": {"1A": "x"}}, "environment"),
        ({"workdir": "abc"}, "workdir"),
        ({"results": ["../secret"]}, "results"),
        ({"latency_ms_max": 0}, "latency_ms_max"),
        ({"software": {"image": "python:3"}}, "image"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(known: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        JobSpec.model_validate(a_spec(**known))
    named = [str(part) for error in raised.value.errors() for part in error["loc"]]
    assert field in named


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, "exactly one of command"),
        ({"command": ["a"], "script": "b"}, "exactly one of command"),
        ({"command": [" "]}, "its first word"),
        ({"command": ["a\0"]}, "zero byte"),
        (a_spec(checkpoint={"path": "/etc"}), "below the working folder"),
        (a_spec(software={"image": f"dir:/etc@sha256:{'0' * 64}"}), "write registry/name"),
        (a_spec(software={"image": f"python@sha256:{'0' * 64}"}), "write registry/name"),
    ],
)
def test_a_spec_that_cannot_be_meant_says_how_to_mend_it(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        JobSpec.model_validate(spec)


def test_a_mark_is_the_same_on_every_machine_and_tells_numbers_apart() -> None:
    assert lease_mark(1, 2) == 3352941764824122357
    marks = {lease_mark(*each) for each in ((1, 2), (2, 1), (12,), (1, 2, 0), (1, -2), (1, 2, -1))}
    assert len(marks) == 6
    assert all(0 <= mark < 2**63 for mark in marks)


@given(st.lists(st.integers(0, 2**53), unique=True), st.integers(0, 2**53))
def test_a_digest_is_kept_by_adding_and_taking_away(numbers: list[int], other: int) -> None:
    total = sum(lease_mark(number, 1) for number in reversed(numbers))
    assert digest_text(total) == digest_text(sum(lease_mark(number, 1) for number in numbers))
    assert digest_text(total + lease_mark(other, 2) - lease_mark(other, 2)) == digest_text(total)
    assert digest_text(total + lease_mark(other, 2)) != digest_text(total)
    assert len(digest_text(total)) == 16
