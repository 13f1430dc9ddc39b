"""Three stages over two providers: each stage's results are the next one's working folder.

A host prepares numbers, two cards of a cluster square a half each, and the host adds them up.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

from intertie.client import Intertie
from intertie.wire.jobs import AttemptView, JobView, Receipt
from tests.servers.slurm import SlurmCluster
from tests.support.federation import PATIENCE_S, Federation, a_federation

NUMBERS, PARTS = 1000, 2
ANSWER = sum(number**2 for number in range(1, NUMBERS + 1))
HOST: Mapping[str, Any] = {"requires": ["sandbox"]}  # Slurm gives none
CARD = {"devices": {"class": "rtx3090", "count": 1}}  # and this machine has no such card
SQUARE = "awk -v part=$INTERTIE_TASK_INDEX 'NR % 2 == part {print $1 * $1}' numbers > squares"
STAGES: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("prepare", f"seq 1 {NUMBERS} > numbers", "numbers", HOST),
    ("square", SQUARE, "squares", {"resources": CARD, "array": {"count": PARTS}}),
    ("add", "cat */squares | awk '{sum += $1} END {printf \"%d\", sum}' > sum", "sum", HOST),
)


@dataclass(frozen=True)
class Stage:
    """One stage as it went."""

    job: JobView
    attempts: list[AttemptView]
    receipt: Receipt

    @property
    def ran_s(self) -> float:
        """Return how long its longest task ran, by the provider's own meter."""
        return max(attempt.agent_s for attempt in self.attempts)

    @property
    def began_at(self) -> int:
        return min(attempt.started_at or 0 for attempt in self.attempts)

    @property
    def ended_at(self) -> int:
        return max(attempt.ended_at or 0 for attempt in self.attempts)


@dataclass(frozen=True)
class Graph:
    """All of it: `total_s` from the first submission until the last result is here."""

    answer: int
    stages: list[Stage]
    total_s: float

    @property
    def critical_s(self) -> float:
        """Return what cannot be had sooner: each stage waits for the one before."""
        return sum(stage.ran_s for stage in self.stages)

    def is_in_order(self) -> bool:
        return all(a.ended_at <= b.began_at for a, b in pairwise(self.stages))


@contextmanager
def two_providers(cluster: SlurmCluster, name: str) -> Iterator[Federation]:
    """A network of a host and a cluster that has cards."""
    with a_federation(cluster.shared / name) as there:
        there.join("desk", "host", "0.30", 2)
        there.join(cluster.name, "slurm", "0.10", 3, conf=cluster.conf)
        yield there


def run(client: Intertie, place: Path, lasts_s: int) -> Graph:
    """Run all stages, each of which lasts so long; what one made is carried to the next."""
    stages: list[Stage] = []
    folder = place / "nothing"
    folder.mkdir(parents=True)
    begun_s = monotonic()
    for name, script, result, told in STAGES:
        spec = {
            "name": name,
            "script": f"set -e\n{script}\nsleep {lasts_s}\n",
            "results": [result],
            "after": [stages[-1].job.id] if stages else [],
            "time_limit": "10m",
        }
        spec |= dict(told)
        size = {"cpus": 1, "memory": "32MiB", "disk": "16MiB"}
        spec["resources"] = size | told.get("resources", {})
        job = client.submit(spec, workdir=folder)
        ended = client.wait(job, timeout_s=PATIENCE_S)
        assert ended.outcome == "done", client.why(job)
        folder = place / name
        client.results(job, folder)
        attempts = [attempt for task in client.tasks(job) for attempt in task.attempts]
        stages.append(Stage(ended, attempts, client.receipt(job)))
    total_s = monotonic() - begun_s
    return Graph(int((folder / "sum").read_text()), stages, total_s)
