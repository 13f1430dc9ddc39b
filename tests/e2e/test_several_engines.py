"""One job over real clusters of four kinds: two Slurm clusters, Ray, Kubernetes, and a host."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import kubernetes, ray, slurm
from tests.servers.kubernetes import IMAGE, kubernetes_cluster
from tests.servers.ray import ray_cluster
from tests.servers.slurm import SlurmCluster, slurm_alpha, slurm_beta
from tests.support.federation import PATIENCE_S, Federation, a_federation
from tests.support.live import wait_until

__all__ = ["kubernetes_cluster", "ray_cluster", "slurm_alpha", "slurm_beta"]


@pytest.fixture(scope="module")
def federation(
    request: pytest.FixtureRequest, slurm_alpha: SlurmCluster, slurm_beta: SlurmCluster
) -> Iterator[Federation]:
    """Everybody who can be had on this machine; at least the two Slurm clusters and the host."""
    with ExitStack() as stack:
        folder = slurm_alpha.shared / "federation"
        there = stack.enter_context(a_federation(folder))
        there.join("desk", "host", "0.30", 2)
        for cluster, price, cpus in ((slurm_alpha, "0.40", 6), (slurm_beta, "0.10", 3)):
            there.join(cluster.name, "slurm", price, cpus, conf=cluster.conf, poll_s=1)
        if (ray.ray_home() / "complete").exists():
            head = request.getfixturevalue("ray_cluster")
            there.join("rays", "ray", "0.50", 3, url=head.url, token_file=head.token_file)
        if not kubernetes.missing():
            pods = request.getfixturevalue("kubernetes_cluster")
            where = folder / "kube" / "attempts"
            there.join(
                "kube",
                "kubernetes",
                "0.20",
                2,
                kubeconfig=pods.agent_kubeconfig(),
                image=IMAGE,
                volume={"hostPath": where},
            )
        yield there


@pytest.mark.timeout(600)
def test_an_array_of_a_hundred_tasks_runs_everywhere_with_one_folder_and_one_receipt(
    federation: Federation, tmp_path: Path
) -> None:
    client = federation.client
    job = client.submit(
        {
            "name": "sweep",
            "command": ["sh", "-c", "echo $INTERTIE_TASK_INDEX; echo $PART > out.txt; sleep 1"],
            "array": {"grid": {"PART": list(range(100))}},
            "resources": {"cpus": 1, "memory": "32MiB", "disk": "16MiB"},
            "time_limit": "5m",
            "results": ["out.txt"],
        }
    )
    ended = client.wait(job, timeout_s=PATIENCE_S)
    assert ended.outcome == "done", client.why(job)
    client.results(job, tmp_path / "results")
    parts = [path.read_text().strip() for path in (tmp_path / "results").rglob("out.txt")]
    assert sorted(parts, key=int) == [str(number) for number in range(100)]
    receipt = client.receipt(job)
    ran = {line.provider: line.tasks for line in receipt.by_provider}
    assert sum(ran.values()) == 100
    assert set(ran) == set(federation.providers)
    assert receipt.sum_micro == 0
    assert sum(line.amount_micro for line in receipt.lines) == receipt.paid_micro
    by_site = [line for line in receipt.lines if line.provider == "kube"]
    assert all(line.paid_s <= min(line.agent_s, line.network_s) + 0.001 for line in by_site)
    proof = federation.operator.ledger_check()
    assert proof.ok, proof.faults
    assert proof.open_holds == 0


@pytest.mark.timeout(600)
def test_a_device_class_is_found_at_the_cluster_that_has_it(federation: Federation) -> None:
    client = federation.client
    cards = {"class": "rtx3090", "count": 2}
    job = client.submit(
        {
            "name": "two cards",
            "command": ["sh", "-c", "echo cards $CUDA_VISIBLE_DEVICES"],
            "resources": {"cpus": 1, "memory": "32MiB", "disk": "16MiB", "devices": cards},
            "time_limit": "5m",
        }
    )
    ended = client.wait(job, timeout_s=PATIENCE_S)
    assert ended.outcome == "done", client.why(job)
    [line] = client.receipt(job).lines
    assert line.provider == "beta"
    assert "cards 0,1" in "".join(client.logs(job))


@pytest.mark.timeout(600)
def test_a_blocked_account_is_stopped_at_every_engine_and_stays_so_after_their_restart(
    federation: Federation,
) -> None:
    network, operator = federation.network, federation.operator
    project = operator.create_project("careless", trial=50)
    network.keep_token("careless", project.token)
    client = network.client("careless")
    jobs = {
        name: client.submit(
            {
                "name": f"long on {name}",
                "command": ["sleep", "900"],
                "providers": [name],
                "resources": {"cpus": 1, "memory": "32MiB", "disk": "16MiB"},
                "time_limit": "30m",
            }
        )
        for name in federation.providers
    }

    def states() -> set[str]:
        return {task.state for job in jobs.values() for task in client.tasks(job)}

    wait_until(lambda: states() == {"running"}, network, PATIENCE_S)
    operator.block(project=project.id)
    for name in federation.providers:
        network.agents[name].kill()
        network.start_agent(name)
    wait_until(lambda: states() == {"queued"}, network, 60.0)
    assert not _running_sleeps(federation.folder)
    proof = operator.ledger_check()
    assert (proof.ok, proof.open_holds) == (True, 0), proof.faults
    for job in jobs.values():
        operator.cancel(job)


def _running_sleeps(folder: Path) -> list[str]:
    """Return the programs of attempts below a folder that still run on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if words[:2] == [b"sleep", b"900"] and _is_below(path, folder):
                found.append(path.name)
        except OSError:
            continue
    return found


def _is_below(process: Path, folder: Path) -> bool:
    return (process / "cwd").readlink().is_relative_to(folder)


def test_the_servers_of_this_test_say_what_is_missing() -> None:
    for lacking in (slurm.missing(), kubernetes.missing()):
        assert "\n" not in lacking
