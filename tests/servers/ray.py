"""A real Ray head on loopback, with token auth, in its own virtual environment."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest

from tests.servers.daemons import Server, free_ports

VERSION = "2.60.0"
PORTS = (
    "port",
    "dashboard-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "ray-client-server-port",
    "node-manager-port",
    "object-manager-port",
    "runtime-env-agent-port",
)


class RayCluster(Server):
    """One head that is its only node: 8 cores, 4 GPUs that are none, 8 of a custom resource.

    `patience_s` is how long it lets a job wait for room before it fails the job.
    """

    deadline_s = 120.0

    def __init__(self, home: Path, folder: Path, patience_s: int = 900) -> None:
        super().__init__(folder)
        self.home, self.patience_s = home, patience_s
        self.token = secrets.token_hex(20)
        self.environment = self._environment()
        self.token_file = folder / "token"
        self.token_file.write_text(self.token)
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.url = f"http://127.0.0.1:{self.ports['dashboard-port']}"

    def start(self) -> None:
        """Start the head and wait until it takes jobs."""
        argv = [str(self.home / "bin" / "ray"), "start", "--head", "--block"]
        argv += [f"--{name}={port}" for name, port in self.ports.items()]
        argv += ["--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats"]
        argv += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
        argv += ["--num-cpus=8", "--num-gpus=4", '--resources={"nv_a100": 8}']
        argv += [f"--object-store-memory={100 << 20}", f"--temp-dir={self.folder / 'tmp'}"]
        self.begin("head", argv)
        self.until(self._is_up, "Ray takes jobs")

    def kill_head(self) -> None:
        """Kill the head with all of its processes at once, as a power cut does."""
        self.kill_all()

    def restart_head(self) -> None:
        """Kill the head and start it again: it knows no job that it was given before."""
        self.kill_head()
        self.start()

    def ask(self, path: str, method: str = "GET", document: Any = None) -> Any:
        """Return what the dashboard answers; None if it does not, or says no."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with suppress(httpx.HTTPError), httpx.Client(trust_env=False, headers=headers) as http:
            told = http.request(method, f"{self.url}{path}", json=document)
            return told.json() if told.is_success else None
        return None

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.home / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_JOB_START_TIMEOUT_SECONDS": str(self.patience_s),
            # Ray would put the first network card's address in place of the loopback's.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }

    def _is_up(self) -> bool:
        """Return whether it takes jobs, knows its own node, and counts what is used."""
        told, nodes = self.ask("/api/cluster_status"), self.ask("/api/v0/nodes")
        is_counting = bool(told and told["data"]["clusterStatus"])
        is_there = bool(nodes and nodes["data"]["result"]["result"])
        return is_counting and is_there and self.ask("/api/jobs/") is not None


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """A Ray head for all tests of a session; a test that kills it starts it again."""
    with a_ray_cluster() as cluster:
        yield cluster


@contextmanager
def a_ray_cluster(patience_s: int = 900) -> Iterator[RayCluster]:
    """A Ray head of its own; skips where there is no Ray."""
    home = ray_home()
    if not (home / "complete").exists():
        pytest.skip(f"no Ray {VERSION} here: run scripts/ray/build.sh")
    with RayCluster(home, Path(mkdtemp(prefix="ray-")), patience_s) as cluster:  # short: a socket
        yield cluster


def ray_home() -> Path:
    """Return where the virtual environment is, or would be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "intertie" / f"ray-{VERSION}"
