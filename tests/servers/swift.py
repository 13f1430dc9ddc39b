"""A real server of S3's protocol on loopback: OpenStack Swift with s3api, one replica on disk."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from intertie.store.artefacts import open_bucket
from intertie.store.s3 import Bucket
from tests.servers.daemons import Server, free_ports

VERSION = "2.38.3"
KEY, SECRET = "test:tester", "testing"
PARTS = ("account", "container", "object", "proxy")
PIPELINE = "catch_errors gatekeeper healthcheck cache bulk s3api tempauth slo"
PROXY = f"""
[pipeline:main]
pipeline = {PIPELINE} proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:%(memcached)d
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
check_bucket_owner = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {SECRET} .admin
"""


class Swift(Server):
    """Swift's four servers and memcached, each by its own number."""

    deadline_s = 90.0

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(folder)
        self.home = home
        names = (*PARTS, "memcached")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.url = f"http://127.0.0.1:{self.ports['proxy']}"
        (folder / "dev" / "d1").mkdir(parents=True)
        self._configure()

    def start(self) -> None:
        """Start everything that does not run, and wait until requests are answered."""
        port = str(self.ports["memcached"])
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        wanted = {"memcached": ["memcached", *user, "-l", "127.0.0.1", "-p", port, "-m", "32"]}
        for part in PARTS:
            program = str(self.home / "bin" / f"swift-{part}-server")
            wanted[part] = [program, str(self.folder / f"{part}.conf")]
        for name in wanted.keys() - self.daemons.keys():
            self.begin(name, wanted[name])
        self.until(self._is_up, "Swift answers")

    def freeze(self) -> None:
        """Let the front hang: it takes connections and answers nothing."""
        os.killpg(self.daemons["proxy"].pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.daemons["proxy"].pid, signal.SIGCONT)

    def bucket(self) -> Bucket:
        """Return a new bucket, below a prefix of it."""
        name = f"artefacts-{secrets.token_hex(4)}"
        bucket = open_bucket(f"s3://{name}/net/one", self.url)
        assert bucket is not None
        bucket._client.create_bucket(Bucket=name)
        return bucket

    def _is_up(self) -> bool:
        with suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=10) as http:
            front = http.get(f"{self.url}/healthcheck").is_success
            return front and http.get(f"{self.url}/auth/v1.0", headers=_auth()).is_success
        return False

    def _configure(self) -> None:
        hashes = "swift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
        policy = "[storage-policy:0]\nname = default\ndefault = yes\n"
        (self.folder / "swift.conf").write_text(f"[swift-hash]\n{hashes}{policy}")
        for part in PARTS:
            rows = ["[DEFAULT]", "bind_ip = 127.0.0.1", f"bind_port = {self.ports[part]}"]
            rows += [f"devices = {self.folder / 'dev'}", f"swift_dir = {self.folder}"]
            rows += ["mount_check = false", "workers = 0", "disable_fallocate = true"]
            rows += [f"user = {_own_name()}", "log_address = /nowhere"]
            own = f"[pipeline:main]\npipeline = {part}-server\n[app:{part}-server]\n"
            own = PROXY % self.ports if part == "proxy" else f"{own}use = egg:swift#{part}\n"
            filters = [word for word in PIPELINE.split() if f"[filter:{word}]" not in own]
            if part == "proxy":
                own += "".join(f"[filter:{word}]\nuse = egg:swift#{word}\n" for word in filters)
            (self.folder / f"{part}.conf").write_text("\n".join([*rows, own]))
            if part != "proxy":
                self._make_ring(part)

    def _make_ring(self, part: str) -> None:
        place = f"r1z1-127.0.0.1:{self.ports[part]}/d1"
        for words in (("create", "6", "1", "1"), ("add", place, "1"), ("rebalance",)):
            ring = [str(self.home / "bin" / "swift-ring-builder"), f"{part}.builder", *words]
            done = subprocess.run(ring, cwd=self.folder, capture_output=True, check=False)
            assert done.returncode in (0, 1), done.stdout  # 1: warnings


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """An S3 server for all tests of a session; a test that stops it starts it again."""
    home = swift_home()
    if not (home / "complete").exists() or shutil.which("memcached") is None:
        pytest.skip("no S3 server here: run scripts/swift/build.sh, and install memcached")
    with pytest.MonkeyPatch.context() as patch:
        told: dict[str, Any] = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        for name, value in told.items():
            patch.setenv(name, value)
        with Swift(home, tmp_path_factory.mktemp("swift")) as server:
            yield server


def swift_home() -> Path:
    """Return where the virtual environment is, or would be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "intertie" / f"swift-{VERSION}"


def _auth() -> dict[str, str]:
    return {"X-Auth-User": KEY, "X-Auth-Key": SECRET}


def _own_name() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
