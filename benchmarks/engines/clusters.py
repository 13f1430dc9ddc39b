"""The clusters that are measured: how a pool joins each, and how its own users start a job there.

The program is `cat /proc/uptime` everywhere: its output is the instant of its own first act, by a
clock that all processes of this machine share, to a hundredth of a second.
"""

import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.engines.figures import Start
from tests.servers import kubernetes, ray, slurm
from tests.servers.kubernetes import IMAGE, KubernetesCluster
from tests.servers.ray import a_ray_cluster
from tests.servers.slurm import SlurmCluster

PROGRAM = ["cat", "/proc/uptime"]
PATIENCE_S = 1200.0
POLL_S = 0.1


@dataclass
class Cluster:
    """One real cluster: what its agent's settings say, and the native way to start `PROGRAM`."""

    engine: str
    version: str
    lent_cpus: int
    table: Mapping[str, Any]
    start: Callable[[], Start]
    slurm: SlurmCluster | None = None
    pids: Mapping[str, int] = field(default_factory=dict)


def now_s() -> float:
    """Return the instant by the clock of /proc/uptime."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def instant_of(printed: str) -> float:
    """Return the instant that `PROGRAM` printed; ValueError if it printed none."""
    return float(printed.partition(" ")[0])


def until(is_so: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return what holds as soon as it does; AssertionError says what never came."""
    ends = time.monotonic() + patience_s
    while not (found := is_so()):
        assert time.monotonic() < ends, f"never came: {what}"
        time.sleep(POLL_S)
    return found


@contextmanager
def a_slurm(folder: Path, nodes: int = 2) -> Iterator[Cluster]:
    """A Slurm cluster of so many nodes that claim 32 cores each."""
    with SlurmCluster("bench", cpu_nodes=nodes) as cluster:
        version = cluster.run("sbatch", "--version").split()[-1]
        table = {"conf": str(cluster.conf)}
        pids = {"slurmctld": cluster.daemons["slurmctld"].pid}
        start = partial(_sbatch, cluster)
        yield Cluster("slurm", version, 32 * nodes, table, start, slurm=cluster, pids=pids)


@contextmanager
def a_ray(folder: Path) -> Iterator[Cluster]:
    """A Ray head with 8 pretended cores, asked over one kept connection."""
    with a_ray_cluster() as head, _api(head.url, head.token) as api:
        table = {"url": head.url, "token_file": str(head.token_file)}
        yield Cluster("ray", ray.VERSION, 3, table, partial(_ray_job, api))


@contextmanager
def a_kubernetes(folder: Path) -> Iterator[Cluster]:
    """A control plane and one kubelet; our agent uses its least-privilege account.

    The native job is created over one kept connection: kubectl alone takes as long as the rest.
    """
    with KubernetesCluster() as cluster:
        trusted = ssl.create_default_context(cafile=str(cluster.folder / "certs/apiserver.crt"))
        trusted.check_hostname = False  # its certificate does not name the loopback
        url = f"https://127.0.0.1:{cluster.ports['api']}"
        table = {
            "kubeconfig": str(cluster.agent_kubeconfig()),
            "image": IMAGE,
            "volume": {"hostPath": str(folder / "kubernetes" / "attempts")},
        }
        version = kubernetes.programs().name.partition("-")[2]
        with _api(url, cluster.token, trusted) as api:
            yield Cluster("kubernetes", version, 2, table, partial(_pod, cluster, api))


def _api(url: str, token: str, trusted: ssl.SSLContext | bool = True) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(
        base_url=url, headers=headers, verify=trusted, trust_env=False, timeout=30.0
    )


CLUSTERS: dict[str, Callable[[Path], AbstractContextManager[Cluster]]] = {
    "slurm": a_slurm,
    "ray": a_ray,
    "kubernetes": a_kubernetes,
}


def missing(engine: str) -> str:
    """Return in one line what is to be installed; nothing where the cluster can be had."""
    if engine == "ray":
        is_here = (ray.ray_home() / "complete").exists()
        return "" if is_here else f"no Ray {ray.VERSION} here: run scripts/ray/build.sh"
    return slurm.missing() if engine == "slurm" else kubernetes.missing()


def run_array(cluster: SlurmCluster, tasks: int, *options: str, command: str = "true") -> float:
    """Return how many seconds an sbatch array takes, from the command to its last task's end."""
    begun_s = now_s()
    where = ("--output=/dev/null", f"--array=0-{tasks - 1}", *options)
    job = cluster.run("sbatch", "--parsable", *where, f"--wrap={command}", timeout_s=60).strip()
    until(lambda: not cluster.run("squeue", "-h", "-j", job, "-o", "%i").strip(), "the array's end")
    return now_s() - begun_s


def _sbatch(cluster: SlurmCluster) -> Start:
    output = cluster.shared / f"{secrets.token_hex(4)}.out"
    begun_s = now_s()
    job = cluster.run("sbatch", "--parsable", f"--output={output}", f"--wrap={' '.join(PROGRAM)}")
    asked_s = now_s() - begun_s
    until(lambda: output.exists() and output.read_text().strip(), "the job's output")
    ask = ("squeue", "-h", "-j", job.strip(), "-o", "%i")
    until(lambda: not cluster.run(*ask).strip(), "the job's end")
    return Start(asked_s, instant_of(output.read_text()) - begun_s)


def _ray_job(api: httpx.Client) -> Start:
    number = f"bench-{secrets.token_hex(4)}"
    told = {"submission_id": number, "entrypoint": " ".join(PROGRAM), "entrypoint_num_cpus": 1}
    begun_s = now_s()
    api.post("/api/jobs/", json=told).raise_for_status()
    asked_s = now_s() - begun_s
    until(lambda: api.get(f"/api/jobs/{number}").json()["status"] == "SUCCEEDED", "its end", 120)
    rows = until(lambda: _numbers(api.get(f"/api/jobs/{number}/logs").json()["logs"]), "its output")
    return Start(asked_s, instant_of(rows[-1]) - begun_s)


def _numbers(printed: str) -> list[str]:
    """Return the rows that are numbers: Ray writes words of its own around them."""
    return re.findall(r"^\d+\.\d+ \d+\.\d+$", printed, re.MULTILINE)


def _pod(cluster: KubernetesCluster, api: httpx.Client) -> Start:
    name = f"bench-{secrets.token_hex(4)}"
    asks = {"cpu": "1", "memory": "32Mi"}
    box = {"name": "main", "image": IMAGE, "command": PROGRAM, "resources": {"requests": asks}}
    pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [box]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "intertie"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    begun_s = now_s()
    api.post("/apis/batch/v1/namespaces/intertie/jobs", json=job).raise_for_status()
    asked_s = now_s() - begun_s
    until(lambda: cluster.get("job", name)["status"].get("succeeded"), "the pod's end", 120)
    printed = cluster.kubectl("logs", f"job/{name}", "-n", "intertie")
    cluster.kubectl("delete", "job", name, "-n", "intertie", "--wait=false")
    return Start(asked_s, instant_of(printed) - begun_s)
