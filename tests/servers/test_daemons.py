"""Real servers end with whoever started them, however that went."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import kubernetes, ray, slurm, swift
from tests.servers.keeper import marked

ROOT = Path(__file__).parents[2]
PATIENCE_S = 150.0
READY = "print(server.folder, flush=True); import time; time.sleep(1000)"
# A child that left its parent and its session, one that is stopped, and a mount.
RUDE = """
from pathlib import Path
from tempfile import mkdtemp
from tests.servers.daemons import Server
server = Server(Path(mkdtemp(prefix="intertie-rude-")))
server.begin("left", ["sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & exec sleep 0"])
server.begin("stopped", ["sh", "-c", "kill -STOP $$"])
"""
SLURM = """
from tests.servers.slurm import SlurmCluster
server = SlurmCluster("kappa", cpu_nodes=1, spool_bytes=32 << 20)
server.start()
job = server.submit()
server.until(lambda: any(" RUNNING " in row for row in server.jobs()), "its job")
"""
RAY = """
from pathlib import Path
from tempfile import mkdtemp
from tests.servers.ray import RayCluster, ray_home
server = RayCluster(ray_home(), Path(mkdtemp(prefix="ray-")))
server.start()
"""
SWIFT = """
from pathlib import Path
from tempfile import mkdtemp
import os
from tests.servers.swift import Swift, swift_home
server = Swift(swift_home(), Path(mkdtemp(prefix="intertie-swift-")))
server.start()
"""
KUBERNETES = """
from tests.servers.kubernetes import IMAGE, KubernetesCluster
server = KubernetesCluster()
server.start()
server.kubectl("run", "one", f"--image={IMAGE}", "-n", "intertie", "--", "sleep", "1000")
phase = lambda: server.get("pod", "one")["status"].get("phase")
server.until(lambda: phase() == "Running", "its pod")
"""


def _ray_is_missing() -> str:
    return "" if (ray.ray_home() / "complete").exists() else "no Ray: scripts/ray/build.sh"


def _swift_is_missing() -> str:
    return "" if (swift.swift_home() / "complete").exists() else "no Swift: scripts/swift/build.sh"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("script", "why_not"),
    [
        pytest.param(RUDE, str, id="rude"),
        pytest.param(SLURM, slurm.missing, id="slurm"),
        pytest.param(RAY, _ray_is_missing, id="ray"),
        pytest.param(SWIFT, _swift_is_missing, id="swift"),
        pytest.param(KUBERNETES, kubernetes.missing, id="kubernetes"),
    ],
)
def test_a_runner_that_is_killed_leaves_no_process_no_mount_and_no_folder(
    script: str, why_not: Callable[[], str], tmp_path: Path
) -> None:
    if why := why_not():
        pytest.skip(why)
    with (tmp_path / "said").open("wb") as said:
        runner = subprocess.Popen(
            [sys.executable, "-c", script + READY],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    assert runner.stdout is not None
    folder = Path(runner.stdout.readline().decode().strip())
    assert folder.is_absolute(), (tmp_path / "said").read_text()
    _until(lambda: len(marked(folder)) > 1)
    os.kill(runner.pid, signal.SIGKILL)
    runner.communicate()
    _until(lambda: not folder.exists())
    assert marked(folder) == set()
    assert str(folder) not in Path("/proc/mounts").read_text()


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.1)
