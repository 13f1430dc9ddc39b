"""A seeded stream of jobs through the whole river: what was promised and shown, and what came."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from intertie.model.job import Job
from intertie.model.policy import Policy
from intertie.model.request import Resources
from intertie.model.states import JobState
from intertie.model.units import GIB
from tests.builders import ANetwork, a_node, a_request, some_terms

CORES, SECONDS = (1, 2, 4, 8), (30, 60, 120, 240)
POOLS = (("lab", 8), ("west", 16))

# What part of the length that its user states a task takes.
HONESTY: dict[str, Callable[[random.Random], float]] = {
    "true": lambda rng: 1.0,
    "stated too long": lambda rng: rng.uniform(0.3, 1.0),
    "stated badly": lambda rng: rng.uniform(0.3, 1.9),
}


@dataclass(frozen=True)
class Told:
    """What became of a stream: deadlines by job, how many were refused, and scored starts."""

    network: ANetwork
    due: dict[int, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def late(self) -> int:
        """Return how many of the promised jobs were not done by their deadline."""
        ends = {job.id: job.ended_at for job in self._jobs() if job.state >= JobState.ENDED}
        return sum(ends.get(job, 2**62) > at for job, at in self.due.items())

    def starts(self) -> list[dict[str, Any]]:
        """Return the scores of the starts that were shown."""
        events = [event for changes in self.network.changes for event in changes.events]
        return [event.values for event in events if event.code == "start_scored"]

    def _jobs(self) -> list[Job]:
        last: dict[tuple[str, int], Any] = {}
        for changes in self.network.changes:
            last.update(changes.rows)
        return [row for (noun, _), row in last.items() if noun == "Job"]


def a_stream(
    seed: int, count: int, load_percent: int, honesty: str, policy: Policy | None = None
) -> Told:
    """Let `count` jobs of three projects come to two pools at random; half have a deadline.

    An operator looks at the queue as each comes. The stream ends when every job has.
    """
    rng, network = random.Random(seed), ANetwork(policy or Policy(busy_poll_ms=5_000))
    for name, cores in POOLS:
        node = a_node(cpus_milli=cores * 1000, memory_bytes=64 * GIB)
        terms = some_terms(lent_cpus_milli=cores * 1000, lent_memory_bytes=64 * GIB)
        network.pool(name, nodes=(node,), terms=terms)
    projects = [network.project(f"p{weight}", 10_000, weight) for weight in (1, 2, 3)]
    told = Told(network)
    core_s = sum(CORES) * sum(SECONDS) / len(CORES) / len(SECONDS)
    for _ in range(count):
        network.pass_s(rng.expovariate(24 * load_percent / 100 / core_s))
        _submit(told, rng, rng.choice(projects), HONESTY[honesty](rng))
        network.ask("queue", 0, {})
    while any(job.state < JobState.ENDED for job in network.world.jobs.rows()):
        network.pass_s(60)
    return told


def _submit(told: Told, rng: random.Random, project: int, part: float) -> None:
    network, takes_s = told.network, rng.choice(SECONDS)
    work_ms = max(1, round(1000 * takes_s * part))
    at = network.now + round(1000 * takes_s * rng.uniform(1.2, 8))
    has_deadline = rng.random() < 0.5
    request = a_request(
        resources=Resources(cpus_milli=1000 * rng.choice(CORES)),
        expected_s=takes_s,
        time_limit_s=2 * takes_s,
        budget_micro=10**9,
        environment=(("WORK_MS", str(work_ms)),),
        deadline_at=at if has_deadline else 0,
    )
    answer = network.submit(project, request)
    if not isinstance(answer, int):
        told.refused.append(answer.code)
    elif has_deadline:
        told.due[answer] = at
