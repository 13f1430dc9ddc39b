"""A whole network for the door's tests: database, decider thread, uvicorn on loopback."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from intertie.api.app import create_app
from intertie.api.serving import DoorServer
from intertie.control.bootstrap import database_url, make_token, open_network
from intertie.control.decider import run
from intertie.control.wake import Wake
from intertie.model.ids import decode
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.units import GIB, MICRO
from intertie.store import reading
from intertie.store.blobs import Blobs
from intertie.wire.digest import observation_digest

PATIENCE_S = 30.0
SPEC: dict[str, Any] = {
    "name": "hello",
    "command": ["echo", "hello"],
    "expected": "10s",
    "time_limit": "1m",
}


@dataclass
class Network:
    """The address of a door, its operator, and what stands behind it."""

    url: str
    operator: str
    engine: Engine
    data: Path
    end: Callable[[], None]
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        known = {"Authorization": f"Bearer {token}"} if token else {}
        found = httpx.Client(
            base_url=f"{self.url}/v1", headers=known | headers, timeout=PATIENCE_S, trust_env=False
        )
        self.clients.append(found)
        return found

    def project(self, name: str, trial: str = "100") -> "Party":
        return self._party("projects", {"name": name, "trial": trial})

    def provider(self, name: str) -> "Party":
        return self._party("providers", {"name": name})

    def pool(self, name: str, **known: Any) -> "Agent":
        """Register a provider of that name with one pool, whose agent has opened its session."""
        agent = Agent(self, name)
        agent.enrol(self.provider(name).enrol_token)
        agent.open(**known)
        return agent

    def _party(self, kind: str, body: dict[str, Any]) -> "Party":
        with self.client(self.operator) as operator:
            created = operator.post(f"/{kind}", json=body)
        assert created.status_code == 201, created.text
        found = created.json()
        token = found["token"]
        return Party(found["id"], token, found["enrol_token"], self.client(token))


@dataclass
class Party:
    """A project or a provider, and its connection."""

    id: str
    token: str
    enrol_token: str
    http: httpx.Client

    def submit(self, **known: Any) -> dict[str, Any]:
        answer = self.http.post("/jobs", json={"spec": SPEC | known})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Agent:
    """An agent that speaks the signed protocol and reports what a test tells it to."""

    network: Network
    name: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    id: str = ""
    epoch: int = 0
    sequence: int = 0
    known: set[str] = field(default_factory=set)
    alive: dict[str, int] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    fresh: dict[str, dict[str, Any]] = field(default_factory=dict)

    def enrol(self, token: str) -> dict[str, Any]:
        body = {"token": token, "pool": self.name, "public_key": self.public}
        found = self.post("/agents", body)
        assert found.status_code == 201, found.text
        self.id = found.json()["agent"]
        return dict(found.json())

    @property
    def public(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def open(self, **known: Any) -> None:
        found = self.post(f"/agents/{self.id}/sessions", {"pool": pool_body(self.name) | known})
        assert found.status_code == 201, found.text
        self.epoch, self.sequence = found.json()["epoch"], 0

    def sync(self, *said: dict[str, Any], wait_ms: int = 0, **known: Any) -> httpx.Response:
        """Say what is seen of leases, and keep the answer where it is one."""
        for each in said:
            self.alive[each["lease"]] = each["token"]
            if each["state"] in ("finishing", "ended"):
                self.alive.pop(each["lease"])
        self.sequence += 1
        body = {
            "epoch": self.epoch,
            "sequence": self.sequence,
            "digest": observation_digest(self.alive.items()),
            "leases": list(said),
            "known": sorted(self.known),
            "owner": {"lent_cpus_milli": 2000, "lent_memory_bytes": 4 * GIB},
            "wanted_digest": self.answer.get("wanted_digest", ""),
            "wait_ms": wait_ms,
        }
        found = self.post(f"/agents/{self.id}/sync", body | known)
        if found.status_code == 200:
            self.answer = found.json()
            self.known |= {each["lease"] for each in self.answer["leases"]}
            self.fresh |= {each["lease"]: each for each in self.answer["leases"] if each["body"]}
            self.known -= set(self.answer["forget"])
        return found

    def take(self, count: int = 1) -> list[dict[str, Any]]:
        """Return new leases with their bodies, once there are so many."""

        def has_all() -> bool:
            if len(self.fresh) < count:
                assert self.sync(wait_ms=2_000).status_code == 200
            return len(self.fresh) >= count

        wait_until(has_all)
        found, self.fresh = list(self.fresh.values()), {}
        return found

    def run(self, lease: dict[str, Any], ran_ms: int = 0) -> None:
        """Report a lease as running."""
        assert self.sync(seen(lease, "running", ran_ms=ran_ms)).status_code == 200

    def end(self, lease: dict[str, Any], **known: Any) -> None:
        """Report a lease as ended well, or as told."""
        well = {"cause": "exited", "exit_code": 0, "ran_ms": 1_000}
        assert self.sync(seen(lease, "ended", **(well | known))).status_code == 200

    def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        content = json.dumps(body).encode()
        signature = self.sign("POST", f"/v1{path}", content)
        known = {"X-Intertie-Signature": signature, "Content-Type": "application/json"}
        with self.network.client() as http:
            return http.post(path, content=content, headers=known | headers)

    def sign(self, method: str, path: str, body: bytes) -> str:
        return base64.b64encode(self.key.sign(f"{method} {path}\n".encode() + body)).decode()

    def put_log(self, lease: dict[str, Any], offset: int, piece: bytes) -> httpx.Response:
        with self.attempt(lease) as http:
            path = f"/agents/{self.id}/attempts/{lease['lease']}/logs"
            return http.put(path, params={"offset": offset}, content=piece)

    def attempt(self, lease: dict[str, Any]) -> httpx.Client:
        """Return a connection with the short token of an attempt."""
        return self.network.client(lease["body"]["attempt_token"])


def seen(lease: dict[str, Any], state: str, **known: Any) -> dict[str, Any]:
    """An observation of a wanted lease."""
    return {"lease": lease["lease"], "token": lease["token"], "state": state} | known


def pool_body(name: str) -> dict[str, Any]:
    """Two cores and 4 GiB at one credit by core and hour, at the reference speed."""
    return {
        "name": name,
        "engine": "fake",
        "region": "cn-east",
        "country": "CN",
        "latency_ms": 5,
        "latency_source": "declared",
        "nodes": [
            {"name": "n1", "cpus_milli": 2000, "memory_bytes": 4 * GIB, "disk_bytes": 64 * GIB}
        ],
        "terms": {
            "price_micro_per_unit_h": MICRO,
            "grace_s": 5,
            "lent_cpus_milli": 2000,
            "lent_memory_bytes": 4 * GIB,
        },
        "scores": [{"profile": "cpu@1", "millionths": MICRO, "source": "measured"}],
        "software": [{"name": "python", "version": "3.11.7"}],
        "abilities": ["sandbox"],
    }


def sequence_of(network: Network, agent: Agent) -> int:
    """Return the last sequence of the agent that a round has taken."""
    with reading.snapshot(network.engine) as connection:
        pool = reading.find(connection, Pool, decode("agent", agent.id))
    assert pool is not None
    return pool.sequence


def wait_until(is_so: Callable[[], object]) -> None:
    """Return once a condition holds; fail when it never does."""
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.01)


@contextmanager
def running_network(
    data: Path,
    policy: Policy | None = None,
    database: str | None = None,
    blobs: Blobs | None = None,
) -> Iterator[Network]:
    """Yield a network with a decider and a door; both are gone afterwards."""
    # Where tests share a machine with others, rounds may be late without anything being wrong.
    policy = policy or Policy(inbox_wait_ms_max=round(PATIENCE_S * 1000))
    engine = open_network(database or database_url(data), "test", policy)
    with engine.begin() as connection:
        operator = make_token(connection, "operator", 0)
    should_stop, decider_wake = threading.Event(), Wake(data, "decider", engine)
    decider = threading.Thread(target=run, args=(engine, decider_wake, should_stop), name="decider")
    decider.start()
    door_wake = Wake(data, "door", engine)
    server = DoorServer(create_app(engine, door_wake, data, blobs))
    door = threading.Thread(target=server.run)
    door.start()

    def end() -> None:
        server.should_exit = True
        door.join()

    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        network = Network(f"http://127.0.0.1:{port}", operator, engine, data, end)
        yield network
        for client in network.clients:
            client.close()
    finally:
        end()
        should_stop.set()
        decider_wake.poke()
        decider.join()
        door_wake.close()
        decider_wake.close()
        engine.dispose()
