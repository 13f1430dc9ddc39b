"""Nodes, quotas and pods, recorded from a real cluster, as groups and room."""

from copy import deepcopy
from typing import Any

from intertie.engines.kubernetes.capacity import groups, is_ready, machines, room
from intertie.engines.kubernetes.settings import Device
from intertie.engines.protocol import Room
from intertie.model.units import GIB, MIB
from tests.engines.kubernetes.test_parse import recorded

DEVICES = {"a100": Device("nvidia.com/gpu", {"gpu": "a100"})}


def a_node(name: str, **allocatable: str) -> Any:
    """The recorded node under another name, with other sizes."""
    node = deepcopy(recorded("node"))
    node["metadata"]["name"] = name
    node["status"]["allocatable"] |= {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "0"}
    node["status"]["allocatable"] |= allocatable
    return node


def a_pod(node: str = "", agent: str = "", **requests: str) -> Any:
    return {
        "metadata": {"labels": {"intertie/agent": agent} if agent else {}},
        "spec": {"nodeName": node, "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Running"},
    }


def test_the_recorded_node_has_its_devices() -> None:
    (machine,) = machines([recorded("node")], DEVICES, {})
    assert (machine.device_class, machine.device_count) == ("a100", 8)
    assert machine.cpus_milli >= 1000
    assert machine.memory_bytes > GIB


def test_like_machines_are_one_group_with_sums() -> None:
    nodes = [
        a_node("a", memory="67108864Ki", **{"nvidia.com/gpu": "8"}),
        a_node("b", memory="67108900Ki", **{"nvidia.com/gpu": "8"}),
        a_node("c"),
    ]
    told = groups(machines(nodes, DEVICES, {}), 100 * GIB)
    assert [(each.machine_count, each.device_class, each.device_count) for each in told] == [
        (1, "", 0),
        (2, "a100", 16),
    ]
    assert told[1].cpus_milli == 16_000
    assert told[1].memory_bytes == 128 * GIB
    assert len({each.name for each in told}) == 2


def test_devices_count_only_where_the_labels_are_theirs() -> None:
    other = a_node("a", **{"nvidia.com/gpu": "8"})
    other["metadata"]["labels"]["gpu"] = "t4"
    (machine,) = machines([other], DEVICES, {})
    assert (machine.device_class, machine.device_count) == ("", 0)


def test_a_node_that_is_cordoned_silent_or_not_selected_is_not_lent() -> None:
    cordoned, silent = a_node("a"), a_node("b")
    cordoned["spec"]["unschedulable"] = True
    for each in silent["status"]["conditions"]:
        if each["type"] == "Ready":
            each["status"] = "Unknown"
    assert not is_ready(silent)
    assert machines([cordoned, silent], DEVICES, {}) == []
    assert machines([a_node("c")], DEVICES, {"pool": "lent"}) == []


def test_room_is_what_the_pods_of_others_leave() -> None:
    found = machines([a_node("a", **{"nvidia.com/gpu": "8"})], DEVICES, {})
    pods = [
        a_pod("a", cpu="1500m", memory="4Gi", **{"nvidia.com/gpu": "3"}),
        a_pod("a", agent="ours", cpu="2", memory="8Gi"),
        a_pod("elsewhere", cpu="4"),
        a_pod(cpu="4"),
    ]
    assert room(found, DEVICES, pods, [], "ours") == Room(6500, 60 * GIB, 5)
    assert room(found, DEVICES, pods, [], "another").cpus_milli == 4500
    done = a_pod("a", cpu="8") | {"status": {"phase": "Succeeded"}}
    assert room(found, DEVICES, [done], [], "ours").cpus_milli == 8000


def test_a_pod_asks_as_much_as_its_largest_early_container() -> None:
    found = machines([a_node("a")], DEVICES, {})
    pod = a_pod("a", cpu="1", memory="1Gi")
    pod["spec"]["initContainers"] = [{"resources": {"requests": {"cpu": "3"}}}]
    assert room(found, DEVICES, [pod], [], "ours") == Room(5000, 63 * GIB, 0)


def test_a_quota_bounds_room_and_our_own_pods_are_room() -> None:
    found = machines([a_node("a")], DEVICES, {})
    quota = recorded("quota")
    assert room(found, DEVICES, [], [quota], "ours") == Room(500, GIB, 0)
    quota["status"]["used"] = {"requests.cpu": "400m", "requests.memory": "512Mi"}
    ours = a_pod("a", agent="ours", cpu="300m", memory="512Mi")
    assert room(found, DEVICES, [ours], [quota], "ours") == Room(400, 1024 * MIB, 0)


def test_room_is_never_less_than_nothing() -> None:
    found = machines([a_node("a")], DEVICES, {})
    assert room(found, DEVICES, [a_pod("a", cpu="99")], [], "ours").cpus_milli == 0
