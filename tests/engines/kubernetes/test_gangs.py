"""Gangs in Kubernetes, which knows none: what is due when, and that it is so on a real cluster."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from intertie.engines.kubernetes.engine import KubernetesEngine
from intertie.engines.kubernetes.gangs import (
    PAUSE_MAX_S,
    Gathering,
    Member,
    gave_back,
    next_to_gather,
    step,
)
from intertie.engines.kubernetes.parse import Box, End, instant_ms, over, running
from intertie.engines.protocol import Observed
from intertie.wire.sync import LeaseBody
from tests.engines.hosting import a_body
from tests.engines.kubernetes.clusters import an_engine, begin, pod_of, see, until, until_state
from tests.engines.kubernetes.test_parse import recorded
from tests.servers.kubernetes import IMAGE, KubernetesCluster

NO_NODE: dict[str, Any] = {"metadata": {}, "spec": {}, "status": {}}
FETCHING: dict[str, Any] = {"metadata": {}, "spec": {"nodeName": "vm"}, "status": {}}
UP: dict[str, Any] = FETCHING | {
    "status": {"containerStatuses": [{"name": "task", "state": {"running": {}}}]}
}
LEAVING: dict[str, Any] = UP | {"metadata": {"deletionTimestamp": "2026-11-22T08:00:00Z"}}
TWO = Gathering(2)
BEGUN = Gathering(2, since_s=100.0)
HELD = [Member("a"), Member("b")]


def members(*pods: dict[str, Any] | None) -> list[Member]:
    return [Member(f"m{at}", is_created=True, pod=pod) for at, pod in enumerate(pods)]


def test_nothing_is_made_before_all_of_a_gang_is_here() -> None:
    assert step(TWO, HELD[:1], 0.0, 60) == ""
    assert step(TWO, HELD, 0.0, 60) == "create"
    half_made = [Member("a", is_created=True), Member("b")]
    assert step(BEGUN, half_made, 101.0, 60) == "create"


def test_the_barrier_opens_once_every_member_is_up() -> None:
    assert step(BEGUN, members(UP, UP), 101.0, 60) == "open"
    for other in (None, NO_NODE, FETCHING, LEAVING):
        assert step(BEGUN, members(UP, other), 101.0, 60) == ""


def test_half_a_gang_gives_back_its_nodes_when_the_others_find_none_in_time() -> None:
    assert step(BEGUN, members(UP, NO_NODE), 161.0, 60) == "give_back"
    assert step(BEGUN, members(FETCHING, None), 161.0, 60) == "give_back"
    assert step(BEGUN, members(UP, FETCHING), 9999.0, 60) == ""


def test_a_gang_of_which_one_will_never_begin_never_begins() -> None:
    over = Member("a", is_over=True)
    assert step(BEGUN, [over, *members(UP)], 101.0, 60) == "disband"
    assert step(TWO, [over], 101.0, 60) == "disband"


def test_each_try_comes_after_a_longer_pause_up_to_a_bound_and_others_take_their_turn() -> None:
    tried, pauses = BEGUN, []
    for _ in range(12):
        tried = gave_back(tried, 0.0, chance=0.5)
        pauses.append(tried.not_before_s)
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[3] < pauses[-1] == PAUSE_MAX_S
    assert step(tried, HELD, PAUSE_MAX_S - 1, 60) == ""
    assert step(tried, HELD, PAUSE_MAX_S, 60) == "create"
    assert next_to_gather([("x", tried), ("y", TWO)]) == "y"


def test_what_a_member_waited_at_the_barrier_is_on_no_meter() -> None:
    pod = recorded("pod-done")
    told = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    begun_ms, ended_ms = instant_ms(told["startedAt"]), instant_ms(told["finishedAt"])
    known = Observed("lease-1", 1, "pending")
    box = Box(is_begun=True, pod="p", exit_code=0, ran_ms=1000, opened_at=begun_ms + 1000)
    seen = over(known, box, pod, End(), "")
    assert (seen.started_at, seen.site_ms) == (begun_ms + 1000, ended_ms - begun_ms - 1000)
    assert running(known, box, pod, ended_ms).started_at == begun_ms + 1000


@pytest.fixture
def engine(kubernetes_cluster: KubernetesCluster) -> Iterator[KubernetesEngine]:
    kubernetes_cluster.lend_gpus(8)
    with an_engine(kubernetes_cluster, gang_hold_off_s=3) as made:
        yield made


def bodies(code: str, **known: Any) -> list[LeaseBody]:
    gang = {"id": f"job-{uuid4().hex[:6]}-1", "size": 2}
    known = {"cpus_milli": 100} | known
    return [a_body("sh", "-c", code, gang=gang, task_index=at, **known) for at in range(2)]


def gpus(count: int) -> dict[str, Any]:
    return {"device_class": "a100", "device_count": count}


def is_begun(engine: KubernetesEngine, lease: str) -> bool:
    return (engine.folder(lease, 1) / "work" / "up").exists()


def test_a_gang_begins_whole_and_is_metered_from_there(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    first, second = bodies(": > up; sleep 2; exit $INTERTIE_TASK_INDEX")
    one = begin(engine, first)
    alone = begin(engine, a_body("true"))
    assert until_state(engine, alone, "over").exit_code == 0
    assert pod_of(kubernetes_cluster, one) is None
    two = begin(engine, second)
    for lease in (one, two):
        until_state(engine, lease, "running")
    ends = [until_state(engine, lease, "over") for lease in (one, two)]
    assert [(seen.cause, seen.exit_code) for seen in ends] == [("exited", 0), ("exited", 1)]
    assert abs(ends[0].started_at - ends[1].started_at) <= 1000
    for lease in (one, two):
        engine.forget(lease, 1)
    assert engine.observe()
    assert not list((engine.root / "gangs").iterdir())


@pytest.mark.timeout(300)
def test_a_gang_that_cannot_be_whole_runs_no_member_gives_its_room_back_and_comes_in_later(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    kubernetes_cluster.apply(a_holder_of_gpus(4))
    try:
        leases = [begin(engine, body) for body in bodies(": > up; sleep 1", **gpus(4))]

        def with_a_node() -> list[str]:
            engine.observe()
            pods = [pod_of(kubernetes_cluster, lease) for lease in leases]
            return [pod["metadata"]["name"] for pod in pods if pod and "nodeName" in pod["spec"]]

        until(engine, with_a_node, "half of it to have a node")
        until(engine, lambda: not with_a_node(), "it to give the node back")
        smaller = begin(engine, a_body("true", **gpus(4)))
        assert until_state(engine, smaller, "over").exit_code == 0
        seen = [see(engine, lease) for lease in leases]
        assert [each.state for each in seen if each] == ["pending"] * 2
        assert not any(is_begun(engine, lease) for lease in leases)
    finally:
        kubernetes_cluster.kubectl("delete", "pod", "holder", "-n", "default", "--now")
    ends = [until_state(engine, lease, "over") for lease in leases]
    assert [seen.exit_code for seen in ends] == [0, 0]


def test_a_stop_of_one_before_the_barrier_opens_withdraws_the_other(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    leases = [begin(engine, body) for body in bodies(": > up", **gpus(5))]
    until(engine, lambda: engine.observe() and pod_of(kubernetes_cluster, leases[0]), "its pods")
    engine.stop(leases[0], 1, "cancelled", 0)
    assert until_state(engine, leases[0], "over").cause == "cancelled"
    assert until_state(engine, leases[1], "over").cause == "superseded"
    assert not any(is_begun(engine, lease) for lease in leases)


def a_holder_of_gpus(count: int) -> dict[str, Any]:
    """A pod of somebody else at the site that holds devices."""
    sizes = {"nvidia.com/gpu": str(count)}
    container = {
        "name": "own",
        "image": IMAGE,
        "command": ["sleep", "3600"],
        "resources": {"requests": sizes, "limits": sizes},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    meta = {"name": "holder", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
