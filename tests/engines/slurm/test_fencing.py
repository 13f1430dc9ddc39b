"""The fencing problem: a node is cut off, its job runs on, and the site begins it elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.engines.slurm.slurming import (
    COUNTING,
    LEASE,
    active,
    an_engine,
    count,
    running,
    until,
    until_state,
    work,
)
from tests.servers.slurm_net import NetCluster, missing

# Counts its beginning, runs until it is let go, and writes one result.
LONG = f"{COUNTING}while [ ! -e go ]; do sleep 0.1; done; hostname >> result"


@pytest.fixture
def cluster() -> Iterator[NetCluster]:
    if why := missing():
        pytest.skip(why)
    with NetCluster("tau", cpu_nodes=2, node_timeout_s=5) as made:
        yield made


def test_a_job_that_the_site_begins_again_beyond_a_cut_link_has_one_result(
    cluster: NetCluster,
) -> None:
    folder = Path(mkdtemp(dir=cluster.shared)) / "pool"
    with an_engine(cluster, folder) as engine:
        node = running(engine, LONG).node
        attempt = engine.folder(LEASE, 1)
    assert node in cluster.nodes
    [job] = [row.split()[0] for row in active(cluster)]
    cluster.run("scontrol", "update", f"jobid={job}", "requeue=1")  # a site may overrule a job
    cluster.cut(node)
    until(engine, lambda: "PENDING" in active(cluster)[0], "the site to give the node up")
    cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")
    until(engine, (attempt / "again").exists, "the second execution to be refused")
    assert count(engine) == 1
    (attempt / "work" / "go").touch()  # the first one still runs, on the node that is cut off
    until(engine, (attempt / "work" / "result").exists, "the result")
    with an_engine(cluster, folder) as later:
        seen = until_state(later, "over")
        assert (seen.exit_code, seen.node) == (0, node)
        assert "a second time" in seen.detail
        cluster.heal(node)
        cluster.until_idle(cluster.nodes)
        assert (count(later), active(cluster)) == (1, [])
        assert len((attempt / "work" / "result").read_text().splitlines()) == 1


def test_a_link_that_is_cut_under_an_agent_that_looks_ends_in_one_lost_attempt(
    cluster: NetCluster,
) -> None:
    with an_engine(cluster) as engine:
        node = running(engine, LONG).node
        [job] = [row.split()[0] for row in active(cluster)]
        cluster.run("scontrol", "update", f"jobid={job}", "requeue=1")
        cluster.cut(node)
        seen = until_state(engine, "over")
        assert seen.cause == "lost"
        cluster.heal(node)
        cluster.until_idle(cluster.nodes)
        assert (count(engine), active(cluster)) == (1, [])
        assert not (work(engine) / "result").exists()
