"""A gang flows down the whole river to a real Slurm cluster: whole there, right in the books."""

from collections.abc import Iterator

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from tests.e2e.test_several_engines import PATIENCE_S, Federation
from tests.servers.slurm import SlurmCluster, slurm_alpha
from tests.support.live import wait_until

__all__ = ["slurm_alpha"]
SMALL = {"cpus": 1, "memory": "32MiB", "disk": "16MiB"}


@pytest.fixture(scope="module")
def centre(slurm_alpha: SlurmCluster) -> Iterator[Federation]:
    """A network with one provider, a Slurm centre of three nodes."""
    folder = slurm_alpha.shared / "gangs"
    folder.mkdir(mode=0o755)
    with EmbeddedNetwork(folder / "network") as network:
        operator = network.client()
        network.keep_token("group", operator.create_project("group", trial=100).token)
        there = Federation(network, network.client("group"), operator, folder)
        there.join("alpha", "slurm", "0.40", 6, conf=slurm_alpha.conf, poll_s=1)
        yield there


@pytest.mark.timeout(600)
def test_a_gang_waits_whole_at_its_site_runs_on_a_node_each_and_is_paid_for_its_run_alone(
    centre: Federation, slurm_alpha: SlurmCluster
) -> None:
    client = centre.client
    own = slurm_alpha.submit("--nodelist=alpha-cpu1", "--exclusive", "--time=30")
    gang = client.submit(
        {
            "name": "gang",
            "command": ["sh", "-c", "echo $SLURM_NTASKS $SLURM_PROCID; sleep 3"],
            "array": {"count": 3},
            "gang": True,
            "resources": SMALL,
            "time_limit": "5m",
        }
    )
    wait_until(lambda: "PENDING" in " ".join(_ours(slurm_alpha)), centre.network, PATIENCE_S)
    small = client.submit(
        {"name": "small", "command": ["true"], "resources": SMALL, "time_limit": "1m"}
    )
    assert client.wait(small, timeout_s=PATIENCE_S).outcome == "done"
    assert {task.state for task in client.tasks(gang)} == {"placed"}
    slurm_alpha.run("scancel", own)
    ended = client.wait(gang, timeout_s=PATIENCE_S)
    assert ended.outcome == "done", client.why(gang)
    said = ["".join(client.logs(gang, task=task)).split() for task in range(3)]
    assert said == [["3", "0"], ["3", "1"], ["3", "2"]]
    receipt = client.receipt(gang)
    assert [line.provider for line in receipt.lines] == ["alpha"] * 3
    assert len({line.site_node for line in receipt.lines}) == 3
    assert all(0 < line.paid_s <= line.agent_s + 0.001 for line in receipt.lines)
    assert receipt.sum_micro == 0
    proof = centre.operator.ledger_check()
    assert (proof.ok, proof.open_holds) == (True, 0), proof.faults


def _ours(cluster: SlurmCluster) -> list[str]:
    """Return the rows of our jobs at the site that have not ended."""
    rows = cluster.run("squeue", "-h", "-o", "%j %T").splitlines()
    return [row for row in rows if row.startswith("intertie-")]
