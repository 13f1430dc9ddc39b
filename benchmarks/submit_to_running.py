"""Submit → running on the host engine: from the call of `submit` to the event `task_started`."""

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.table import Outcome, row
from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie

WHAT = "submit → running and → settled on the host engine, beside the bare start of the program"
RUNS = 40
SPEC = {"name": "bench", "command": ["true"], "time_limit": "1m", "resources": {"memory": "64MiB"}}


def measure() -> Outcome:
    """Return the medians of `RUNS` jobs one after another, each over HTTP and on disk."""
    with (
        tempfile.TemporaryDirectory(prefix="intertie-bench-") as folder,
        EmbeddedNetwork(Path(folder)) as network,
    ):
        client = _ready(network)
        running, settled = [], []
        for _ in range(RUNS):
            to_running, to_settled = _one(client)
            running.append(to_running)
            settled.append(to_settled)
        health = [_timed(client.health) for _ in range(RUNS)]
    bare = [_timed(lambda: subprocess.run(["true"], check=True)) for _ in range(RUNS)]
    rows = (
        row("submit → running", running),
        row("submit → settled and released", settled),
        row("one HTTP exchange with the door (limit)", health),
        row("the bare program: fork, exec, wait (limit)", bare),
    )
    ratio = rows[0].median_ms / max(rows[3].median_ms, 0.001)
    figure = (
        f"submit → running: median {rows[0].median_ms:.0f} ms, p99 {rows[0].p99_ms:.0f} ms"
        f" (aim: median below 500 ms); {ratio:.0f}× the bare start of the program"
    )
    return Outcome(rows, figure)


def _ready(network: EmbeddedNetwork) -> Intertie:
    operator = network.client()
    project = operator.create_project("bench", trial=100)
    provider = operator.create_provider("here")
    network.keep_token("bench", project.token)
    network.add_agent(
        "here", {"enrol_token": provider.enrol_token, "price": "0.10", "lent_cpus": 2}
    )
    ends = time.monotonic() + 60
    while not any(offer.score for offer in operator.offers()):
        assert time.monotonic() < ends, network.agents["here"].tail()
        time.sleep(0.1)
    client = network.client("bench")
    client.wait(client.submit(SPEC))  # The first job compiles nothing later ones would not.
    return client


def _one(client: Intertie) -> tuple[float, float]:
    begun = time.perf_counter()
    job = client.submit(SPEC)
    running = 0.0
    for event in client.events(job, follow=True):
        if event.code == "task_started" and not running:
            running = time.perf_counter() - begun
    settled = time.perf_counter() - begun
    return running or settled, settled


def _timed(call) -> float:  # type: ignore[no-untyped-def]
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
