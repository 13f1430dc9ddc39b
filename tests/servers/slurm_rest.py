"""A real Slurm cluster with slurmrestd and tokens, on loopback like the others.

Wants Debian's slurmrestd and slurm-wlm-jwt-plugin beside what `slurm` wants.
"""

import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.servers import slurm
from tests.servers.daemons import free_ports
from tests.servers.slurm import SlurmCluster

PLUGIN = "*/slurm-wlm/auth_jwt.so"
CONFIGURATION = """
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/etc/jwt.key
"""


def missing() -> str:
    """Return in one line what is to be installed; nothing where such a cluster can be had."""
    why = slurm.missing((*slurm.PROGRAMS, "slurmrestd"))
    if not why and not list(Path("/usr/lib").glob(PLUGIN)):
        why = "no auth_jwt.so here"
    rest = " (over REST also: apt-get install slurmrestd slurm-wlm-jwt-plugin)"
    return why and why + rest


class RestCluster(SlurmCluster):
    """A cluster with slurmrestd at `url`; `token_file` holds a token for root."""

    def __init__(self, name: str, **known: Any) -> None:
        [self.rest_port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.rest_port}"
        super().__init__(name, **known)
        self.token_file = self.folder / "etc" / "token"

    def start(self) -> None:
        super().start()
        self.give_token(self.token())
        self.start_rest()

    def start_rest(self) -> None:
        """Start slurmrestd as somebody else: it refuses root's rights, and SlurmUser's."""
        argv = ["slurmrestd", "-f", str(self.conf), "-a", "rest_auth/jwt", "-s", "openapi/v0.0.38"]
        told = {"SLURM_JWT": "daemon"}  # else it takes nobody's token
        self.begin("slurmrestd", [*argv, f"127.0.0.1:{self.rest_port}"], told, user="nobody")
        self.until(self._listens, "slurmrestd listens")

    def kill_rest(self) -> None:
        self.end("slurmrestd", signal.SIGKILL)

    def token(self, user: str = "root", lifespan_s: int = 7200) -> str:
        """Return a token for a user, as the site's people would issue it."""
        told = self.run("scontrol", "token", f"username={user}", f"lifespan={lifespan_s}")
        return told.strip().removeprefix("SLURM_JWT=")

    def give_token(self, token: str) -> None:
        self.token_file.write_text(f"{token}\n")
        self.token_file.chmod(0o600)

    def _write_configuration(self) -> None:
        super()._write_configuration()
        key = self.folder / "etc" / "jwt.key"
        key.write_bytes(secrets.token_bytes(32))
        key.chmod(0o600)
        with self.conf.open("a") as file:
            file.write(CONFIGURATION.format(folder=self.folder))

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.rest_port), 5):
            return True
        return False


@pytest.fixture(scope="session")
def slurm_rest() -> Iterator[RestCluster]:
    """A cluster with slurmrestd, one node of four A100 and one without devices."""
    if why := missing():
        pytest.skip(why)
    with RestCluster("rho", gpu_nodes=1, gpu="a100:4", cpu_nodes=1) as cluster:
        yield cluster
