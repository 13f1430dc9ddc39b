"""What a network of a seed stands on: a database, folders, short times, tokens of its parties."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from intertie.agent.joining import score
from intertie.agent.settings import AgentSettings
from intertie.client import Intertie, Unreachable
from intertie.control.bootstrap import make_token, open_network
from intertie.model.policy import Policy
from intertie.store.database import migrate, open_database
from tests.support.databases import PostgresServer

OPERATOR = "operator"
FILE = "network.sqlite"
PROJECTS = ("alpha", "beta")
START_S = 60.0
# As short as a machine with two busy cores can keep: an agent is lost after 3 s of silence, and
# what it may have run is placed again no sooner than 1 s of grace and 3 s of margin after that.
POLICY = Policy(
    quote_s=30,
    lease_s=8,
    lease_s_min=4,
    renew_for_s=3,
    grace_s=1,
    margin_s=3,
    slice_s=1,
    poll_s=2,
    busy_poll_ms=300,
    failures_max=5,
)
_one_at_a_time = Lock()


@dataclass(frozen=True)
class Ground:
    """One seed's folder and database. `server` is the PostgreSQL of its own, if it has one."""

    folder: Path
    database: str
    server: PostgresServer | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    def agent_folder(self, agent: str) -> Path:
        return self.folder / agent


def make_network(ground: Ground, policy: Policy = POLICY) -> str:
    """Make the network in its database and return the operator's token."""
    ground.data.mkdir(parents=True, exist_ok=True)
    if ground.server is None:
        shutil.copy(ground.folder.parent / "measured" / "empty.sqlite", ground.data / FILE)
    with _one_at_a_time:  # Alembic keeps its context in globals
        engine = open_network(ground.database, policy=policy)
    with engine.begin() as connection:
        token = make_token(connection, OPERATOR, 0)
    engine.dispose()
    return token


def make_parties(operator: Intertie, agents: tuple[str, ...]) -> dict[str, str]:
    """Return tokens by name: two projects with money enough, and each agent's enrolment."""
    tokens = {name: operator.create_project(name, trial=1000).token for name in PROJECTS}
    for agent in agents:
        tokens[agent] = operator.create_provider(f"lab-{agent}").enrol_token
    return {name: str(token) for name, token in tokens.items()}


def agent_settings(folder: Path, pool: str, url: str, token: str, **known: object) -> None:
    """Write what the owner of a pool says: no sandbox, since each start of one costs 50 ms."""
    told = {
        "network": url,
        "folder": str(folder),
        "pool": pool,
        "enrol_token": token,
        "price": "1.00",
        "cpus": 4,
        "memory": "4GiB",
        "disk": "4GiB",
        "grace": "1s",
        "sandbox": False,
        "limits": False,
    }
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{key} = {json.dumps(value)}" for key, value in (told | known).items()]
    (folder / "agent.toml").write_text("\n".join(rows))
    shutil.copy(folder.parent.parent / "measured" / "benchmark.json", folder / "benchmark.json")


def prepare_once(root: Path) -> None:
    """Do once what all seeds below a folder need: the benchmark, and an empty SQLite database."""
    folder = root / "measured"
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_database(f"sqlite:///{folder / 'empty.sqlite'}")
    migrate(engine)
    engine.dispose()
    if not (folder / "benchmark.json").exists():
        settings = AgentSettings(
            network="http://127.0.0.1:1",
            folder=folder,
            pool="any",
            is_sandboxed=False,
            is_limited=False,
        )
        assert score(settings) is not None


def wait_until_ready(url: str) -> None:
    """Return when a door answers and its decider takes what is asked."""
    ends = time.monotonic() + START_S
    with Intertie(url, "none") as anyone:
        while True:
            try:
                anyone.health()
                return
            except Unreachable:
                assert time.monotonic() < ends, f"{url} did not become healthy"
                time.sleep(0.02)
