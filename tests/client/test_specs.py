"""Job specs: read from files, checked by field with the fix, sent as they were meant."""

from pathlib import Path
from typing import Any

import pytest

from intertie.client import SpecError
from intertie.client.specs import body_of, load
from intertie.wire.jobspec import JobSpec


def a_file(folder: Path, text: str, name: str = "job.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults(source: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        load(source)
    return {fault.field: fault.message for fault in caught.value.errors}


def test_yaml_and_json_mean_the_same(tmp_path: Path) -> None:
    yaml = a_file(tmp_path, "command: [echo, hi]\nresources: {cpus: 0.5}\ntime_limit: 10m\n")
    json = a_file(
        tmp_path,
        '{"command": ["echo", "hi"], "resources": {"cpus": 0.5}, "time_limit": 600}',
        "job.json",
    )
    assert load(yaml).spec == load(json).spec


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("resources.memory", {"resources": {"memory": "lots"}}, "512MiB"),
        ("resources.cpus", {"resources": {"cpus": "-1"}}, "negative"),
        ("time_limit", {"time_limit": "soon"}, "10m"),
        ("budget", {"budget": -3}, "negative"),
        ("deadline", {"deadline": "2026-11-22T18:00:00"}, "time zone"),
        ("prefer", {"prefer": "best"}, "'cheapest' or 'soonest'"),
        ("environment.N", {"environment": {"N": 5}}, 'write "5" in quotes'),
        ("command.1", {"command": ["sleep", 5]}, 'write "5" in quotes'),
        ("time_limt", {"time_limt": 5}, "did you mean time_limit?"),
        ("resources.cpu", {"resources": {"cpu": 5}}, "did you mean cpus?"),
        ("data.0.name", {"data": [{"size": 5}]}, "missing"),
        ("results", {"results": ["../secret"]}, "below the working folder"),
        ("array", {"array": {"count": 2, "grid": {"a": [1]}}}, "exactly one of count"),
        ("providers", {"providers": "lab"}, "a list"),
    ],
)
def test_a_wrong_field_is_named_with_its_fix(field: str, value: dict[str, Any], says: str) -> None:
    found = faults({"command": ["true"]} | value)
    assert says in found[field]


def test_neither_command_nor_script_is_said_of_the_job() -> None:
    assert "exactly one of command" in faults({"name": "x"})["job"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("command: [echo\n", "not valid YAML at line 2"),
        ("- just\n- a list\n", "must hold fields"),
        ("", "must hold fields"),
    ],
)
def test_a_file_that_is_no_spec_says_where_and_why(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        load(a_file(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no file .*job\.yaml"):
        load(tmp_path / "job.yaml")


def test_the_working_folder_is_relative_to_the_spec_file(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    loaded = load(a_file(tmp_path, "command: [ls]\nworkdir: code\n"))
    assert loaded.folder == tmp_path / "code"
    assert loaded.spec.workdir == ""


def test_a_working_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    found = faults(a_file(tmp_path, "command: [ls]\nworkdir: nowhere\n"))
    assert "there is no folder" in found["workdir"]


def test_a_hash_stands_for_an_uploaded_folder() -> None:
    loaded = load({"command": ["ls"], "workdir": "a" * 64})
    assert loaded.folder is None
    assert loaded.spec.workdir == "a" * 64


def test_a_spec_means_the_same_after_its_journey() -> None:
    spec = JobSpec.model_validate(
        {
            "command": ["x"],
            "budget": "0.000001",
            "deadline": "2026-11-22T18:00:00+08:00",
            "resources": {"cpus": 0.5, "memory": "1GiB", "devices": {"class": "h100", "count": 2}},
            "checkpoint": {"path": "saved", "grace": "20s"},
        }
    )
    assert JobSpec.model_validate(body_of(spec)) == spec
    assert set(body_of(spec)) == {"command", "budget", "deadline", "resources", "checkpoint"}
