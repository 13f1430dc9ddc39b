"""A real Ray head on loopback, with token auth, in its own virtual environment."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import httpx
import psutil
import pytest

VERSION = "2.60.0"
UP_WITHIN_S = 120.0
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


class RayCluster:
    """One head that is its only node: 8 cores, 4 GPUs that are none, 8 of a custom resource.

    `patience_s` is how long it lets a job wait for room before it fails the job.
    """

    def __init__(self, home: Path, folder: Path, patience_s: int = 900) -> None:
        self.home, self.folder, self.patience_s = home, folder, patience_s
        self.token = secrets.token_hex(20)
        self.token_file = folder / "token"
        self.token_file.write_text(self.token)
        self.ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self.url = f"http://127.0.0.1:{self.ports['dashboard-port']}"
        self._head: psutil.Process

    def start(self) -> None:
        """Start the head and wait until it takes jobs."""
        argv = [str(self.home / "bin" / "ray"), "start", "--head", "--block"]
        argv += [f"--{name}={port}" for name, port in self.ports.items()]
        argv += ["--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats"]
        argv += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
        argv += ["--num-cpus=8", "--num-gpus=4", '--resources={"nv_a100": 8}']
        argv += [f"--object-store-memory={100 << 20}", f"--temp-dir={self.folder / 'tmp'}"]
        with (self.folder / "ray.log").open("ab") as log:
            head = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(),
            )
        head.returncode = 0  # it is looked after by its number, from now on
        self._head = psutil.Process(head.pid)
        self._wait_until_up()

    def stop(self) -> None:
        """End the head and what it started, as a shutdown does."""
        _end(self._head, signal.SIGTERM)

    def kill_head(self) -> None:
        """Kill the head with all of its processes at once, as a power cut does."""
        _end(self._head, signal.SIGKILL)

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

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + UP_WITHIN_S
        while not self._is_up():
            assert self._head.status() != psutil.STATUS_ZOMBIE, self._log()
            assert time.monotonic() < deadline, f"Ray was not up in time: {self._log()}"
            time.sleep(0.2)

    def _is_up(self) -> bool:
        """Return whether it takes jobs, knows its own node, and counts what is used."""
        told, nodes = self.ask("/api/cluster_status"), self.ask("/api/v0/nodes")
        is_counting = bool(told and told["data"]["clusterStatus"])
        is_there = bool(nodes and nodes["data"]["result"]["result"])
        return is_counting and is_there and self.ask("/api/jobs/") is not None

    def _log(self) -> str:
        return (self.folder / "ray.log").read_text(errors="replace")[-2000:]


def _end(node: psutil.Process, number: signal.Signals) -> None:
    """End one node: by SIGTERM it ends what it started; else each of its processes is killed."""
    with suppress(psutil.NoSuchProcess):
        family = [node, *node.children(recursive=True)]
        for each in family if number == signal.SIGKILL else family[:1]:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)
        _, alive = psutil.wait_procs(family, timeout=30)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(alive, timeout=30)


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
    folder = Path(mkdtemp(prefix="ray-"))  # a socket's path is short
    cluster = RayCluster(home, folder, patience_s)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        rmtree(folder, ignore_errors=True)


def ray_home() -> Path:
    """Return where the virtual environment is, or would be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "intertie" / f"ray-{VERSION}"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        wires = [stack.enter_context(socket.socket()) for _ in range(count)]
        for wire in wires:
            wire.bind(("127.0.0.1", 0))
        return [wire.getsockname()[1] for wire in wires]
