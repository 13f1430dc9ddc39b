"""How the tests of this folder open an engine on the real cluster, and wait for what it says."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from intertie.engines.kubernetes.engine import KubernetesEngine, open_engine
from intertie.engines.protocol import EngineUnavailable, Observed
from intertie.engines.registry import EngineSettings
from tests.servers.kubernetes import IMAGE, KubernetesCluster

T = TypeVar("T")
DEADLINE_S = 90.0
RECORDED = Path(__file__).with_name("recorded")


def settings_of(cluster: KubernetesCluster, name: str, **known: Any) -> EngineSettings:
    """Return the settings of a pool of its own, which sees the cluster as its agent does."""
    folder = cluster.volume / name
    plain = {
        "kubeconfig": str(cluster.agent_kubeconfig()),
        "image": IMAGE,
        "volume": {"hostPath": str(folder)},
        "devices": {"a100": {"resource": "nvidia.com/gpu", "selector": {"gpu": "a100"}}},
    }
    return EngineSettings(folder, grace_s=2, table=plain | known)


@contextmanager
def an_engine(cluster: KubernetesCluster, **known: Any) -> Iterator[KubernetesEngine]:
    """An engine on a pool of its own, whose attempts are gone afterwards."""
    engine = open_engine(settings_of(cluster, uuid4().hex[:8], **known))
    try:
        yield engine
        clean(engine)
    finally:
        engine.close()


def clean(engine: KubernetesEngine) -> None:
    def are_over() -> bool:
        alive = [seen for seen in engine.observe() if seen.state != "over"]
        for seen in alive:
            engine.stop(seen.lease, seen.token, "cancelled", 0)
        return not alive

    until(engine, are_over, "everything over")
    for seen in engine.observe():
        engine.forget(seen.lease, seen.token)


def begin(engine: KubernetesEngine, body: Any, token: int = 1) -> str:
    """Start an attempt and return its lease."""
    lease = f"lease-{uuid4().hex[:8]}"
    (engine.folder(lease, token) / "work").mkdir(parents=True)
    engine.start(lease, token, body)
    return lease


def see(engine: KubernetesEngine, lease: str) -> Observed | None:
    with suppress(EngineUnavailable):
        return next((seen for seen in engine.observe() if seen.lease == lease), None)
    return None


def until(engine: KubernetesEngine, holds: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never came: {what}"
        engine.wait(0.2)
    return found


def until_state(engine: KubernetesEngine, lease: str, state: str) -> Observed:
    def holds() -> Observed | None:
        seen = see(engine, lease)
        assert seen is None or seen.state in (state, "pending", "running"), seen
        return seen if seen and seen.state == state else None

    found = until(engine, holds, state)
    assert found is not None
    return found


def until_told(engine: KubernetesEngine, lease: str, words: str) -> Observed:
    """Return the attempt when the site says something of what it waits for."""

    def holds() -> Observed | None:
        seen = see(engine, lease)
        assert seen is None or seen.state == "pending", seen
        return seen if seen and words in seen.detail else None

    found = until(engine, holds, words)
    assert found is not None
    return found


def until_up(engine: KubernetesEngine, lease: str) -> Path:
    """Return the working folder when its program has made `up`."""
    work = engine.folder(lease, 1) / "work"
    until(engine, (work / "up").exists, "the program to be up")
    return work


def pod_of(cluster: KubernetesCluster, lease: str) -> Any:
    """Return the first pod of a lease as the API server has it; None if there is none."""
    pods = [
        pod
        for pod in cluster.get("pods")["items"]
        if pod["metadata"]["annotations"].get("intertie/lease") == lease
    ]
    return min(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def record(name: str, document: Any) -> None:
    """Keep what `parse` reads of a real object, where INTERTIE_RECORD says so."""
    if os.environ.get("INTERTIE_RECORD"):
        RECORDED.mkdir(exist_ok=True)
        text = json.dumps(_without_machine(document), indent=1)
        (RECORDED / f"{name}.json").write_text(text + "\n")


def _without_machine(document: Any) -> Any:
    """Return an object without what only says on which machine it was recorded."""
    dropped = ("managedFields", "addresses", "hostIP", "podIP", "podIPs", "volumes", "nodeInfo")
    dropped += ("command", "images", "podCIDR", "podCIDRs", "volumeMounts")
    if isinstance(document, list):
        return [_without_machine(each) for each in document]
    if isinstance(document, dict):
        return {key: _without_machine(v) for key, v in document.items() if key not in dropped}
    return document
