"""Databases for tests: a SQLite file, or a throw-away PostgreSQL server of each test process."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from intertie.store.database import migrate, open_database

PATIENCE_S = 60.0
KINDS = ("sqlite", "postgresql")
TEMPLATE = "template_intertie"
# Durable is what survives the end of a process; no test cuts the power of the machine.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


class PostgresServer:
    """A PostgreSQL server in a folder of its own, on a Unix socket that nobody else knows.

    It is ended by its pid, and by the kernel when the test process is gone.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="intertie-pg-", dir="/tmp"))  # short: a socket
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        made = ["initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust"]
        self._call([*made, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        self._numbers = count(1)
        self._server: subprocess.Popen[bytes] | None = None
        self.start()
        self._make_template()

    def start(self) -> None:
        """Start the server, and return when it takes connections.

        It is gone with the thread that starts it: call this in the test's own.
        """
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        command = ["postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), *settings]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                self._as_owner(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        ends = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert self._server.poll() is None, self.log()
            assert time.monotonic() < ends, self.log()
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends every session first, SIGQUIT is a crash."""
        assert self._server is not None, "start it first"
        self._server.send_signal(how)
        self._server.wait(PATIENCE_S)

    def remove(self) -> None:
        """Stop the server and forget all that it held."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def url(self, name: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def make(self, template: str = TEMPLATE) -> str:
        """Make a database like another one, by default with every table, and return its URL."""
        name = f"test{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever still holds a connection."""
        self._administer(f"DROP DATABASE IF EXISTS {_name_in(url)} WITH (FORCE)")

    def log(self) -> str:
        """Return what the server said last."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _make_template(self) -> None:
        self._administer(f"CREATE DATABASE {TEMPLATE}")
        engine = open_database(self.url(TEMPLATE))
        migrate(engine)
        engine.dispose()

    def _administer(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _answers(self) -> bool:
        asked = ["pg_isready", "-q", "-h", str(self.folder)]
        return subprocess.run(self._as_owner(asked), check=False).returncode == 0

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(self._as_owner(command), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def _as_owner(self, command: list[str]) -> list[str]:
        """PostgreSQL refuses to run as root, so root becomes `postgres` for it."""
        program = [str(self._binaries / command[0]), *command[1:]]
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            assert os.geteuid() != 0, "setpriv (util-linux) is needed to run PostgreSQL as root"
            return program
        owner = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [setpriv, "--pdeathsig=QUIT", *(owner if os.geteuid() == 0 else []), *program]


def binaries() -> Path | None:
    """Return where PostgreSQL's programs are; Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found is not None and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    return kept[-1].parent if kept else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """This test process's own PostgreSQL server, started when the first test asks for it."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    server = PostgresServer(found)
    yield server
    server.remove()


class Databases:
    """Makes databases of one kind for a test, and drops them after it."""

    def __init__(self, kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
        self.kind, self._folder, self._numbers = kind, folder, count(1)
        self.server: PostgresServer | None = None
        if kind == "postgresql":
            self.server = request.getfixturevalue("postgres")
        self._made: list[str] = []

    def make(self) -> str:
        """Return the URL of a new database: with all tables on PostgreSQL, else without."""
        if self.server is None:
            return f"sqlite:///{self._folder / f'network{next(self._numbers)}.sqlite'}"
        self._made.append(self.server.make())
        return self._made[-1]

    def copy(self, url: str) -> str:
        """Return the URL of a copy of a database that nobody is connected to."""
        if self.server is None:
            copied = self.make()
            shutil.copyfile(_name_in(url), _name_in(copied))
            return copied
        self._made.append(self.server.make(_name_in(url)))
        return self._made[-1]

    def drop(self) -> None:
        """Drop all of them."""
        while self._made and self.server is not None:
            self.server.drop(self._made.pop())


@pytest.fixture(params=KINDS)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Databases of the test's own, on each kind."""
    made = Databases(request.param, tmp_path, request)
    yield made
    made.drop()


@pytest.fixture
def database_url(databases: Databases) -> str:
    """A database of the test's own, on each kind: a SQLite file without tables, or PostgreSQL."""
    return databases.make()


@pytest.fixture(scope="module", params=KINDS)
def module_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same for all tests of one file."""
    made = Databases(request.param, tmp_path_factory.mktemp("database"), request)
    yield made.make()
    made.drop()


def _name_in(url: str) -> str:
    return make_url(url).database or ""
