"""A pool of a real cluster in a real embedded network, and jobs that run through it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.engines.clusters import PROGRAM, Cluster, instant_of, now_s, until
from benchmarks.engines.figures import Start
from intertie.agent.settings import Raw, with_keys
from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie, WaitTimeout
from intertie.wire.jobs import JobView, TaskView

SMALL = {"cpus": 1, "memory": "32MiB", "disk": "16MiB"}
LOOK_S = 10.0  # so often it is asked whether the agent still lives


@dataclass(frozen=True)
class Joined:
    """One cluster as one pool; `client` may submit."""

    cluster: Cluster
    network: EmbeddedNetwork
    client: Intertie
    operator: Intertie

    def start(self) -> Start:
        """Run `PROGRAM` once and return when it was accepted, and when it began."""
        begun_s = now_s()
        job = self.client.submit(_spec(PROGRAM))
        asked_s = now_s() - begun_s
        self._wait(job)
        return Start(asked_s, instant_of("".join(self.client.logs(job))) - begun_s)

    def run_array(
        self, tasks: int, command: list[str], cpus: int = 1
    ) -> tuple[float, list[TaskView]]:
        """Return how many seconds an array takes until it has settled, and its tasks."""
        begun_s = now_s()
        spec = _spec(command) | {"array": {"count": tasks}}
        job = self.client.submit(spec | {"resources": SMALL | {"cpus": cpus}})
        self._wait(job)
        took_s = now_s() - begun_s
        return took_s, list(self.client.tasks(job))

    def _wait(self, job: JobView) -> None:
        """Return when a job has settled; AssertionError if it failed, or its agent has ended."""
        agent = self.network.agents["bench"]
        ended = None
        while ended is None:
            with suppress(WaitTimeout):
                ended = self.client.wait(job, timeout_s=LOOK_S)
            assert ended or agent.exit_code() is None, agent.tail()
        assert ended.outcome == "done", agent.tail()

    def processor_s(self) -> dict[str, float]:
        """Return the processor time of each long-lived process until now, in seconds."""
        pids = {process.name: process.pid for process in self.network.processes()}
        every = {**pids, **self.cluster.pids}
        return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in every.items()}

    def units(self) -> float:
        """Return how many cores the pool offers; 0 until it does."""
        return sum(each.units_total for each in self.operator.offers() if each.score)


@contextmanager
def joined(cluster: Cluster, folder: Path) -> Iterator[Joined]:
    """Let the cluster join a network of its own, and return when it offers its cores."""
    with EmbeddedNetwork(folder / "network") as network:
        operator = network.client()
        network.keep_token("bench", operator.create_project("bench", trial=10_000).token)
        provider = operator.create_provider("bench")
        place = folder / cluster.engine  # what the cluster's nodes see
        place.mkdir(mode=0o755)
        keys = {"engine": cluster.engine, "folder": str(place), "pool": "bench", "price": "0.10"}
        keys |= {"enrol_token": provider.enrol_token}
        path = network.agent_folder("bench") / "agent.toml"
        path.parent.mkdir(parents=True)
        text = with_keys("", {**keys, "lent_cpus": cluster.lent_cpus})
        path.write_text(with_keys(text, _toml(cluster.table), cluster.engine))
        network.start_agent("bench")
        there = Joined(cluster, network, network.client("bench"), operator)
        until(lambda: _is_offering(there), "the pool's offer", 300)
        yield there


def _is_offering(there: Joined) -> bool:
    agent = there.network.agents["bench"]
    assert agent.exit_code() is None, agent.tail()
    return there.units() > 0


def _spec(command: list[str]) -> dict[str, Any]:
    return {"name": "bench", "command": command, "resources": SMALL, "time_limit": "5m"}


def _toml(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as TOML has them; a table below stands on one line."""
    return {
        key: Raw("{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + "}")
        if isinstance(value, Mapping)
        else value
        for key, value in table.items()
    }
