"""An embedded network: all of one data folder on this machine, started and stopped as one."""

import errno
import fcntl
import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from intertie.agent.settings import with_keys
from intertie.cli.listening import Listening
from intertie.cli.processes import Process, python_command, wait_until_ready

if TYPE_CHECKING:
    from intertie.client import Intertie

CREDENTIALS = "credentials.json"
OPERATOR = "operator"


class InUse(Exception):
    """The data folder or the port belongs to another network; the message says what to do."""


class EmbeddedNetwork:
    """One door with the console, one decider and agents, below one data folder.

    `start` returns when the network answers. Killing it loses nothing that was acknowledged, and
    jobs run on: the next `start` finds them.
    """

    def __init__(
        self,
        data: Path,
        port: int = 0,
        database: str | None = None,
        listening: Listening | None = None,
    ) -> None:
        self.data = data
        self._database = [database] if database else []
        self.listening = replace(listening or Listening(0), port=port or free_port())
        self.port = self.listening.port
        self.url = self.listening.own_url
        self.address = self.listening.own_address
        self.agents: dict[str, Process] = {}
        self._processes: list[Process] = []
        self._clients: list[Intertie] = []
        self._lock: IO[str] | None = None

    def __enter__(self) -> "EmbeddedNetwork":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start decider and door; raise InUse or StartFailed with the reason."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(self.data)
        _check_port(self.listening)
        self._ensure_network()
        logs = self.data / "log"
        part = "intertie.cli.processes"
        decider = python_command(part, "decide", str(self.data), *self._database)
        told = (str(self.data), self.listening.text, *self._database)
        door = python_command(part, "serve", *told)
        self._processes = [
            Process("decider", decider, logs / "decider.log"),
            Process("door", door, logs / "door.log"),
        ]
        for process in self._processes:
            process.start()
        try:
            wait_until_ready(self.address, self._processes)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop agents, door and decider in this order; what runs under an agent runs on."""
        while self._clients:
            self._clients.pop().close()
        for process in [*self.agents.values(), *reversed(self._processes)]:
            process.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def processes(self) -> list[Process]:
        """Return every child process."""
        return [*self._processes, *self.agents.values()]

    def client(self, name: str = OPERATOR, lang: str | None = None) -> "Intertie":
        """Return a connection as one of the names in the credentials file; `stop` closes it."""
        from intertie.client import Intertie

        self._clients.append(Intertie(self.address, self.tokens()[name], lang))
        return self._clients[-1]

    def tokens(self) -> dict[str, str]:
        """Return the tokens by name that this data folder knows."""
        found: dict[str, str] = json.loads((self.data / CREDENTIALS).read_text())["tokens"]
        return found

    def keep_token(self, name: str, token: str, is_default: bool = False) -> None:
        """Keep a token in the credentials file."""
        from intertie.control.bootstrap import save_credentials

        path = self.data / CREDENTIALS
        default = json.loads(path.read_text())["default"] if path.exists() else name
        save_credentials(path, self.address, {name: token}, name if is_default else default)

    def add_agent(self, pool: str, settings: Mapping[str, object]) -> Path:
        """Write an agent's settings and start it; return its folder."""
        folder = self.agent_folder(pool)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "agent.toml"
        path.touch(mode=0o600)
        path.write_text(with_keys("", {"folder": str(folder), "pool": pool, **settings}))
        self.start_agent(pool)
        return folder

    def agent_folder(self, pool: str) -> Path:
        """Return where an agent of this network keeps its journal."""
        return self.data / "agents" / pool

    def start_agent(self, pool: str) -> None:
        """Start the agent whose settings are below the data folder, at today's address."""
        path = self.agent_folder(pool) / "agent.toml"
        here = {"network": self.url, "fingerprint": self.listening.fingerprint}
        path.write_text(with_keys(path.read_text(), here))
        command = python_command("intertie.cli.processes", "agent", str(path))
        process = Process(f"agent {pool}", command, self.data / "log" / f"agent-{pool}.log")
        process.start()
        self.agents[pool] = process

    def known_agents(self) -> list[str]:
        """Return the pools whose agents were set up in this data folder."""
        return sorted(path.parent.name for path in (self.data / "agents").glob("*/agent.toml"))

    def _ensure_network(self) -> None:
        from intertie.cli.roles import Place
        from intertie.control.bootstrap import make_token, open_network

        engine = open_network(Place.of(self.data, *self._database).database)
        if not (self.data / CREDENTIALS).exists():
            with engine.begin() as connection:
                token = make_token(connection, OPERATOR, 0)
            self.keep_token(OPERATOR, token, is_default=True)
        else:
            self.keep_token(OPERATOR, self.tokens()[OPERATOR])
        engine.dispose()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _check_port(listening: Listening) -> None:
    host, port = listening.host, listening.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InUse(f"{host} cannot be listened on: {error.strerror}") from error
            raise InUse(f"port {port} is in use: choose another with --port") from error


def _lock(data: Path) -> IO[str]:
    lock = (data / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise InUse(f"a network runs on {data} already: end it, or use --data") from error
    return lock
