"""A throw-away PostgreSQL with fsync on, ended with the benchmark by its own pid."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
}


class Missing(Exception):
    """Something that a part needs is not on this machine; the text says what to install."""


class PostgresServer:
    """A server in a folder of its own, on a Unix socket. Root becomes `postgres` for it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="intertie-load-", dir="/tmp"))
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = str(self.folder / "data")
        self._run(["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"])
        told = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                _as_owner(["postgres", "-D", data, "-k", str(self.folder), *told]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        ends = time.monotonic() + 60
        while subprocess.run(
            _as_owner(["pg_isready", "-q", "-h", str(self.folder)]), check=False
        ).returncode:
            assert time.monotonic() < ends, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Return the server's process id; its sessions are its children."""
        return self._server.pid

    def make(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._run(["createdb", "-h", str(self.folder), "-U", "postgres", name])
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def close(self) -> None:
        """End the server and forget all that it held."""
        self._server.send_signal(2)  # SIGINT: sessions end first
        self._server.wait(60)
        shutil.rmtree(self.folder)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(_as_owner(command), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


def _as_owner(command: list[str]) -> list[str]:
    found = shutil.which("initdb")
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found is None and not kept:
        raise Missing("no PostgreSQL here (Debian: apt-get install postgresql)")
    folder = kept[-1].parent if kept else Path(str(found)).resolve().parent
    program = [str(folder / command[0]), *command[1:]]
    owner = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    setpriv = ["setpriv", "--pdeathsig=QUIT", *(owner if os.geteuid() == 0 else [])]
    return [*setpriv, *program]
