"""The screens of docs/joining.md, typed as they stand; only addresses and folders are replaced."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client.pinning import join_line
from tests.servers.slurm import SlurmCluster, slurm_alpha
from tests.support.live import wait_until

__all__ = ["slurm_alpha"]
pytestmark = pytest.mark.end_to_end
PAGE = Path(__file__).parents[2] / "docs" / "joining.md"
FOLDER = "/shared/intertie"
PATIENCE_S = 120.0


def screen(title: str) -> str:
    """Return the commands below a heading of the page."""
    below = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1]
    return below.split("```sh\n")[1].split("```")[0]


@contextmanager
def typed(commands: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Type a screen on a login node; the last command of it stays until the test is over."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with log.open("wb") as out:
        shell = subprocess.Popen(
            ["sh", "-e", "-c", commands],
            env={"PATH": path, "HOME": str(log.parent), "LANG": "C.UTF-8", **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield shell
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(PATIENCE_S)


@pytest.mark.timeout(400)
def test_the_screen_for_a_slurm_centre_joins_a_real_one_as_it_stands(
    slurm_alpha: SlurmCluster, tmp_path: Path
) -> None:
    slurm_alpha.run("scontrol", "create", "partitionname=gpu", "nodes=alpha-gpu1,alpha-gpu2")
    place = slurm_alpha.shared / "intertie"
    commands = screen("A Slurm centre")
    assert FOLDER in commands
    with EmbeddedNetwork(tmp_path / "network") as network:
        operator = network.client()
        network.keep_token("group", operator.create_project("group", trial=10).token)
        provider = operator.create_provider("centre")
        line = join_line(network.url, provider.enrol_token, "").removeprefix("intertie join ")
        told = {"JOIN": line, "SLURM_CONF": str(slurm_alpha.conf)}
        log = tmp_path / "screen.log"
        with typed(commands.replace(FOLDER, str(place)), log, **told) as shell:

            def is_offering() -> bool:
                assert shell.poll() is None, log.read_text()
                return any(offer.score for offer in operator.offers())

            wait_until(is_offering, network, PATIENCE_S)
            checked = log.read_text()
            assert "slurm: 2 nodes" in checked
            assert "a100-80g-sxm" in checked
            client = network.client("group")
            job = client.submit(
                {
                    "command": ["sh", "-c", "echo $SLURM_JOB_ACCOUNT: $CUDA_VISIBLE_DEVICES"],
                    "resources": {"devices": {"class": "a100-80g-sxm", "count": 2}},
                    "time_limit": "2m",
                }
            )
            assert client.wait(job, timeout_s=PATIENCE_S).outcome == "done", client.why(job)
            assert "".join(client.logs(job)).strip() == "guests: 0,1"
