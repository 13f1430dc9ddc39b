"""What is sent to Ray, and what is made of its recorded answers (Ray 2.60, three nodes)."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.protocol import Room
from intertie.engines.ray import launching, parsing, rendering
from intertie.engines.ray.settings import checked
from intertie.engines.registry import EngineSettings
from intertie.model.parties import NodeFacts
from intertie.model.units import GIB, MIB
from tests.engines.hosting import a_body

RECORDED = Path(__file__).parent / "recorded"
PREFIX = rendering.prefix("0123456789ab")
CLASSES = {"a100": "nv_a100"}


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def a_document(**known: Any) -> dict[str, Any]:
    body = a_body("true", **known)
    return rendering.job("id", ["python3", "x"], body, CLASSES | {"rtx": "GPU"}, {}, 10)


def test_a_job_asks_for_what_its_body_says() -> None:
    document = a_document(cpus_milli=1500, memory_bytes=3 * GIB)
    assert document["entrypoint_num_cpus"] == 1.5
    assert document["entrypoint_memory"] == 3 * GIB
    assert "entrypoint_resources" not in document
    assert "entrypoint_num_gpus" not in document


def test_a_device_class_is_asked_for_by_rays_name_of_it() -> None:
    custom = a_document(device_class="a100", device_count=2)
    assert custom["entrypoint_resources"] == {"nv_a100": 2}
    assert a_document(device_class="rtx", device_count=3)["entrypoint_num_gpus"] == 3
    body = a_body("true", device_class="h100", device_count=4)
    kind = rendering.job("id", [], body, {"h100": "accelerator_type:H100"}, {}, 10)
    assert kind["entrypoint_num_gpus"] == 4
    assert list(kind["entrypoint_resources"]) == ["accelerator_type:H100"]


def test_a_device_class_that_ray_cannot_know_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"resources: .*h100"):
        a_document(device_class="h100", device_count=1)


def test_nothing_of_a_users_is_in_the_command_line(tmp_path: Path) -> None:
    odd = tmp_path / "a 'folder' $HOME `id`;\n"
    argv = launching.shim_argv("python3", odd / "shim", odd / "lease-1-1")
    body = a_body("rm -rf $HOME", environment={"EVIL": "$(id)"}, name="; id")
    document = rendering.job("id", argv, body, {}, {}, 10)
    told = shlex.split(document["entrypoint"])
    assert told == ["exec", *argv]
    text = json.dumps(document)
    assert not [word for word in ("rm -rf", "EVIL", "; id") if word in text]


def test_an_owners_runtime_environment_goes_along_and_a_stop_at_the_site_has_our_grace() -> None:
    own = {"pip": ["numpy"], "env_vars": {"A": "1"}}
    document = rendering.job("id", [], a_body("true"), {}, own, 25)
    assert document["runtime_env"]["pip"] == ["numpy"]
    variables = document["runtime_env"]["env_vars"]
    assert variables == {"A": "1", "RAY_JOB_STOP_WAIT_TIME_S": "30"}
    assert own == {"pip": ["numpy"], "env_vars": {"A": "1"}}


def test_only_our_jobs_are_read_with_their_ends() -> None:
    jobs = parsing.jobs(recorded("jobs.json"), PREFIX)
    states = {id_.removeprefix(PREFIX): job.status for id_, job in jobs.items()}
    assert states == {
        "lease-0001-1": "SUCCEEDED",
        "lease-0002-1": "PENDING",
        "lease-0003-1": "FAILED",
        "lease-0004-1": "RUNNING",
        "lease-0005-1": "FAILED",
        "lease-0006-1": "STOPPED",
    }
    alive = [id_.removeprefix(PREFIX) for id_, job in jobs.items() if job.is_alive]
    assert sorted(alive) == ["lease-0002-1", "lease-0004-1"]
    assert not any(job.has_waited_too_long for job in jobs.values())
    over = jobs[f"{PREFIX}lease-0001-1"]
    assert over.ended_at > over.started_at > 0
    assert over.node == parsing.nodes(recorded("nodes.json"))[2].id


def test_a_job_that_ray_gave_up_to_wait_for_is_told_apart() -> None:
    (only,) = parsing.jobs(recorded("jobs_waited_too_long.json"), PREFIX).values()
    assert (only.status, only.has_waited_too_long) == ("FAILED", True)


def test_of_a_traceback_the_error_is_told_and_of_a_log_its_end() -> None:
    jobs = parsing.jobs(recorded("jobs.json"), PREFIX)
    failed = jobs[f"{PREFIX}lease-0003-1"].message
    assert failed == "ValueError: /nowhere is not a valid path."
    assert "\nout\n" in jobs[f"{PREFIX}lease-0005-1"].message
    duplicate = parsing.last_words((RECORDED / "duplicate.txt").read_text())
    assert "already exists" in duplicate
    assert "\n" not in duplicate


def test_like_machines_are_one_group_with_their_sums() -> None:
    groups = parsing.groups(parsing.nodes(recorded("nodes.json")), CLASSES, 5 * GIB)
    assert groups == (
        NodeFacts("a100-x4-cpu-x2-21g", 4000, 42 * GIB, 5 * GIB, "a100", 8, 2),
        NodeFacts("a100-x8-cpu-x8-21g", 8000, 21 * GIB, 5 * GIB, "a100", 8, 1),
    )


def test_a_node_that_died_is_no_more() -> None:
    groups = parsing.groups(parsing.nodes(recorded("nodes_one_dead.json")), CLASSES, 0)
    assert [(node.device_count, node.machine_count) for node in groups] == [(4, 1), (8, 1)]


def test_devices_that_the_owner_did_not_name_are_not_offered() -> None:
    groups = parsing.groups(parsing.nodes(recorded("nodes.json")), {}, 0)
    assert {(node.device_class, node.device_count) for node in groups} == {("", 0)}
    (gpus,) = [
        node
        for node in parsing.groups(parsing.nodes(recorded("nodes.json")), {"rtx": "GPU"}, 0)
        if node.device_class
    ]
    assert (gpus.device_class, gpus.device_count) == ("rtx", 4)


def test_room_is_what_others_leave() -> None:
    """Of 1.5 cores and 3 devices in use, half a core and all devices are one of our own jobs."""
    alive = parsing.nodes(recorded("nodes.json"))
    used = parsing.usage(recorded("cluster_status.json"))
    ours = {
        "entrypoint_num_cpus": 0.5,
        "entrypoint_memory": 100 * MIB,
        "entrypoint_resources": {"nv_a100": 3},
    }
    total = sum(int(node.resources["memory"]) for node in alive)
    assert parsing.room(alive, used, [ours], CLASSES) == Room(11_000, total, 16)
    assert parsing.room(alive, used, [], CLASSES) == Room(10_500, total - 100 * MIB, 13)


def test_how_long_a_job_had_its_resources_is_read_from_its_actor() -> None:
    assert parsing.actor_id(recorded("actors.json")) == "eebdb93fa4b625bbfb0cd53e01000000"
    assert parsing.actor_ms(recorded("actor.json")) == 2091
    assert parsing.actor_id(recorded("actors_none.json")) == ""
    assert parsing.actor_ms(recorded("actor_none.json")) == 0


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({}, "url"),
        ({"url": "ray://x"}, "url"),
        ({"url": 8265}, "url"),
        ({"url": "http://x", "pasword": "y"}, "pasword"),
        ({"url": "http://x", "token_file": "/no/such/file"}, "token_file"),
        ({"url": "http://x", "resources": {"a100": 8}}, "resources"),
        ({"url": "http://x", "resources": "GPU"}, "resources"),
        ({"url": "http://x", "runtime_env": "numpy"}, "runtime_env"),
        ({"url": "http://x", "runtime_env": {"env_vars": ["A"]}}, "runtime_env"),
        ({"url": "http://x", "passes_on": "PATH"}, "passes_on"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, table: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        checked(EngineSettings(tmp_path, table=table))
