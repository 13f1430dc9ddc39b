"""What a real cluster does to attempts: quotas, drains, preemption, lost nodes, a lost server."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from intertie.engines.kubernetes.engine import KubernetesEngine
from intertie.engines.protocol import EngineUnavailable
from intertie.model.units import GIB
from tests.engines.hosting import a_body
from tests.engines.kubernetes.clusters import (
    an_engine,
    begin,
    pod_of,
    record,
    see,
    until,
    until_state,
    until_told,
    until_up,
)
from tests.servers.kubernetes import IMAGE, KubernetesCluster

SAVE = """
trap 'echo saved > saved; exit 0' TERM
echo once >> count
: > up
while :; do sleep 0.1; done
"""
SLEEP = "echo once >> count; : > up; sleep 300"


@pytest.fixture
def engine(kubernetes_cluster: KubernetesCluster) -> Iterator[KubernetesEngine]:
    with an_engine(kubernetes_cluster) as made:
        yield made


def a_site_pod(**known: Any) -> dict[str, Any]:
    """A pod of somebody else at the site, as large as they say."""
    sizes = {"cpu": "1500m", "memory": "64Mi"}
    container = {
        "name": "own",
        "image": IMAGE,
        "command": ["sleep", "3600"],
        "resources": {"requests": sizes, "limits": sizes},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0} | known
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "own", "namespace": "default"},
        "spec": spec,
    }


def test_the_agents_account_has_the_rights_that_it_uses_and_no_others(
    kubernetes_cluster: KubernetesCluster,
) -> None:
    def may(verb: str, what: str, space: str = "intertie") -> bool:
        user = f"--kubeconfig={kubernetes_cluster.agent_kubeconfig()}"
        argv = ["auth", "can-i", verb, what, "-n", space, user]
        try:
            return kubernetes_cluster.kubectl(*argv).strip() == "yes"
        except RuntimeError:
            return False

    assert may("create", "jobs.batch")
    assert may("list", "nodes")
    for verb, what in (("get", "secrets"), ("list", "secrets"), ("create", "pods")):
        assert not may(verb, what), (verb, what)
    for verb, what in (("get", "pods/log"), ("create", "pods/exec"), ("delete", "pods")):
        assert not may(verb, what), (verb, what)
    for verb, what in (("create", "jobs.batch"), ("list", "jobs.batch"), ("get", "secrets")):
        assert not may(verb, what, "kube-system"), (verb, what)
    assert not may("patch", "nodes")


def test_what_does_not_fit_waits_with_the_schedulers_own_words(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    kubernetes_cluster.lend_gpus(8)
    facts = until(
        engine, lambda: [node for node in engine.facts().nodes if node.device_count], "devices"
    )
    assert [(node.device_class, node.device_count) for node in facts] == [("a100", 8)]
    lease = begin(engine, a_body("true", device_class="a100", device_count=9))
    seen = until_told(engine, lease, "Insufficient nvidia.com/gpu")
    assert seen.detail.startswith("Unschedulable: 0/1 nodes are available")
    record("pod-unschedulable", pod_of(kubernetes_cluster, lease))
    record("node", kubernetes_cluster.get("node", kubernetes_cluster.node))
    engine.stop(lease, 1, "cancelled", 0)
    assert until_state(engine, lease, "over").cause == "cancelled"
    lease = begin(engine, a_body("true", device_class="a100", device_count=8))
    assert until_state(engine, lease, "over").exit_code == 0


def test_a_full_quota_is_told_and_what_waits_for_it_runs_when_there_is_room(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    hard = {"requests.cpu": "500m", "requests.memory": "1Gi"}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "lent", "namespace": "intertie"},
        "spec": {"hard": hard},
    }
    kubernetes_cluster.apply(quota)

    def room_is_by_quota() -> bool:
        room = engine.room()
        return room is not None and (room.cpus_milli, room.memory_bytes) == (500, GIB)

    until(engine, room_is_by_quota, "the quota to be counted")
    record("quota", kubernetes_cluster.get("resourcequota", "lent"))
    lease = begin(engine, a_body("true", cpus_milli=1000))
    assert "exceeded quota: lent" in until_told(engine, lease, "FailedCreate").detail
    kubernetes_cluster.kubectl("delete", "resourcequota", "lent", "-n", "intertie")
    assert until_state(engine, lease, "over").exit_code == 0


def test_an_evicted_attempt_saves_is_reclaimed_and_never_runs_twice(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    lease = begin(engine, a_body("sh", "-c", SAVE, checkpoint_grace_s=60))
    work = until_up(engine, lease)
    kubernetes_cluster.evict(pod_of(kubernetes_cluster, lease)["metadata"]["name"])
    seen = until_state(engine, lease, "over")
    assert (seen.cause, seen.exit_code) == ("reclaimed", 0)
    assert "the site took the pod away" in seen.detail
    assert (work / "saved").exists()
    assert (work / "count").read_text() == "once\n"

    def no_pod_is_left() -> bool:
        pod = pod_of(kubernetes_cluster, lease)
        return pod is None or pod["status"]["phase"] in ("Succeeded", "Failed")

    until(engine, no_pod_is_left, "its Job to be at rest")
    assert (work / "count").read_text() == "once\n"


def test_an_attempt_whose_job_is_deleted_by_hand_is_over(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    lease = begin(engine, a_body("sh", "-c", SLEEP))
    until_up(engine, lease)
    kubernetes_cluster.kubectl("delete", "jobs", "--all", "-n", "intertie")
    seen = until_state(engine, lease, "over")
    assert seen.cause == "reclaimed"
    assert seen.site_ms <= seen.ran_ms + 2000


def test_an_attempt_that_makes_room_for_the_sites_own_is_reclaimed_as_preempted(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    first = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "own-first"},
        "value": 1000,
    }
    kubernetes_cluster.apply(first)
    lease = begin(engine, a_body("sh", "-c", SAVE, cpus_milli=1500, checkpoint_grace_s=60))
    work = until_up(engine, lease)
    kubernetes_cluster.apply(a_site_pod(priorityClassName="own-first"))
    try:
        seen = until_state(engine, lease, "over")
        until(engine, lambda: has_room_of(engine, 500), "only what the site's own pod leaves")
    finally:
        kubernetes_cluster.kubectl("delete", "pod", "own", "-n", "default")
    assert seen.cause == "reclaimed"
    assert seen.detail.startswith("Preempted")
    assert (work / "saved").exists()


def has_room_of(engine: KubernetesEngine, cpus_milli: int) -> bool:
    room = engine.room()
    return room is not None and room.cpus_milli <= cpus_milli


def test_attempts_run_on_and_end_while_the_api_server_is_away(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    runs = begin(engine, a_body("sh", "-c", SLEEP))
    ends = begin(engine, a_body("sh", "-c", ": > up; until [ -e go ]; do sleep 0.1; done; exit 9"))
    work = until_up(engine, ends)
    until_up(engine, runs)
    kubernetes_cluster.end("api")

    def is_away() -> bool:
        try:
            engine.observe()
        except EngineUnavailable:
            return True
        return False

    until(engine, is_away, "the engine to notice")
    with pytest.raises(EngineUnavailable):
        begin(engine, a_body("true"))
    (work / "go").touch()
    until(engine, (work.parent / "end" / "exit").exists, "the program to end")
    engine.stop(runs, 1, "cancelled", 0)
    until(engine, (engine.folder(runs, 1) / "end" / "exit").exists, "the stop to be heard")
    kubernetes_cluster.start_api_server()
    seen = until_state(engine, ends, "over")
    assert (seen.cause, seen.exit_code) == ("exited", 9)
    assert until_state(engine, runs, "over").cause == "cancelled"


def test_what_was_forgotten_while_the_server_was_away_leaves_no_job(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    lease = begin(engine, a_body("true"))
    until_state(engine, lease, "over")
    kubernetes_cluster.end("api")
    engine.forget(lease, 1)
    assert not engine.folder(lease, 1).exists()
    kubernetes_cluster.start_api_server()

    def no_job_is_left() -> bool:
        see(engine, lease)
        label = f"intertie/agent={engine.id}"
        return not cluster_jobs(kubernetes_cluster, label)

    until(engine, no_job_is_left, "the Job to be removed")


def cluster_jobs(cluster: KubernetesCluster, label: str) -> list[Any]:
    found: list[Any] = cluster.get("jobs", "-l", label)["items"]
    return found


def test_an_image_that_cannot_be_had_is_told_and_a_wrong_one_ends_it(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    absent = begin(engine, a_body("true", image="127.0.0.1:1/nothing/here:1"))
    until_told(engine, absent, "ImagePullBackOff")
    record("pod-image", pod_of(kubernetes_cluster, absent))
    wrong = begin(engine, a_body("true", image="Not An Image"))
    seen = until_state(engine, wrong, "over")
    assert seen.cause == "start_failed"
    assert "InvalidImageName" in seen.detail


def test_a_cordoned_cluster_has_neither_nodes_nor_room(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    kubernetes_cluster.kubectl("cordon", kubernetes_cluster.node)
    try:
        with pytest.raises(EngineUnavailable, match="no node"):
            engine.facts()
        room = engine.room()
    finally:
        kubernetes_cluster.kubectl("uncordon", kubernetes_cluster.node)
    assert room is not None
    assert room.cpus_milli == room.memory_bytes == 0


def test_without_the_optional_right_room_is_by_the_namespaces_own_pods(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    kubernetes_cluster.kubectl("delete", "clusterrolebinding", "intertie-agent-room")
    whole = sum(node.cpus_milli for node in engine.facts().nodes)

    def room_is_whole() -> bool:
        room = engine.room()
        return room is not None and room.cpus_milli == whole

    try:
        until(engine, room_is_whole, "the pods of earlier tests to be gone")
    finally:
        kubernetes_cluster.lend_room()


@pytest.mark.timeout(300)
def test_a_lost_node_is_not_believed_to_have_stopped_until_it_says_so(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    lease = begin(engine, a_body("sh", "-c", SLEEP))
    work = until_up(engine, lease)
    kubernetes_cluster.end("kubelet", 9)

    def is_given_up_by_the_site() -> bool:
        kubernetes_cluster.beat_idle_nodes()
        pod = pod_of(kubernetes_cluster, lease)
        return pod is not None and "deletionTimestamp" in pod["metadata"]

    try:
        until(engine, is_given_up_by_the_site, "the site to give the pod up")
        seen = see(engine, lease)
    finally:
        kubernetes_cluster.start_kubelet()
        kubernetes_cluster.remove_idle_nodes()
    assert seen is not None
    assert seen.state == "running"
    seen = until_state(engine, lease, "over")
    assert seen.cause == "lost"
    assert (work / "count").read_text() == "once\n"
    kubernetes_cluster.until(kubernetes_cluster.is_node_ready, "the node to be back")


def test_ends_of_real_pods_are_recorded(
    kubernetes_cluster: KubernetesCluster, engine: KubernetesEngine
) -> None:
    """What parse is tested on came from here; and pods are removed with their Job."""
    takes = "x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}"
    lease = begin(engine, a_body("sh", "-c", takes, memory_bytes=64 << 20))
    seen = until_state(engine, lease, "over")
    assert seen.cause == "out_of_memory"  # its site_ms may be 0: Kubernetes counts whole seconds
    record("pod-out-of-memory", pod_of(kubernetes_cluster, lease))
    begun = time.monotonic()
    done = begin(engine, a_body("sh", "-c", "sleep 3"))
    seen = until_state(engine, done, "over")
    assert 2000 <= seen.site_ms <= (time.monotonic() - begun) * 1000 + 1000
    assert seen.node == kubernetes_cluster.node
    assert seen.image.startswith("sha256:")
    record("pod-done", pod_of(kubernetes_cluster, done))
    engine.forget(done, 1)
    until(engine, lambda: pod_of(kubernetes_cluster, done) is None, "its pod to be gone")
