"""Builders for tests of the Slurm engine on a real cluster: an engine that cleans up, waiting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

from intertie.engines.protocol import EngineUnavailable, Observed
from intertie.engines.registry import EngineSettings
from intertie.engines.slurm.engine import SlurmEngine, open_engine
from intertie.wire.sync import LeaseBody
from tests.engines import hosting
from tests.servers.slurm import SlurmCluster

DEADLINE_S = 90.0
LEASE = hosting.LEASE
a_body = hosting.a_body


def a_script(text: str, **known: Any) -> LeaseBody:
    """A small job that runs a shell script."""
    return a_body(script=text, **known)


@contextmanager
def an_engine(
    cluster: SlurmCluster, folder: Path | None = None, **table: Any
) -> Iterator[SlurmEngine]:
    """An engine on a cluster; what it started is over afterwards."""
    settings = EngineSettings(
        folder or Path(mkdtemp(dir=cluster.shared)) / "pool",
        grace_s=2,
        table={"conf": str(cluster.conf), "partitions": ["main"], "poll_s": 0.5} | table,
    )
    engine = open_engine(settings)
    engine.site.runner.environment["PATH"] = cluster.environment["PATH"]
    try:
        yield engine
    finally:
        engine.close()


def see(engine: SlurmEngine, token: int = 1) -> Observed | None:
    """Return one attempt; None while the site is away, or if it is unknown."""
    with suppress(EngineUnavailable):
        for seen in engine.observe():
            if (seen.lease, seen.token) == (LEASE, token):
                return seen
    return None


def until(engine: SlurmEngine, holds: Callable[[], Any], what: str) -> Any:
    deadline = monotonic() + DEADLINE_S
    while not (found := holds()):
        assert monotonic() < deadline, f"never came: {what}"
        engine.wait(0.1)
        sleep(0.02)
    return found


def until_state(engine: SlurmEngine, state: str, token: int = 1) -> Observed:
    def holds() -> Observed | None:
        seen = see(engine, token)
        assert seen is None or state == "over" or seen.state != "over", seen
        return seen if seen and seen.state == state and seen.is_final else None

    found: Observed = until(engine, holds, state)
    return found


def count(engine: SlurmEngine, token: int = 1) -> int:
    """Return how often the attempt's program was begun, as `COUNTING` notes it."""
    path = engine.folder(LEASE, token) / "work" / "count"
    return len(path.read_text().splitlines()) if path.exists() else 0


def active(cluster: SlurmCluster) -> list[str]:
    """Return the rows of our jobs that the site has waiting or running."""
    rows = [row for row in cluster.jobs() if " intertie-" in row]
    return [row for row in rows if row.split()[2] in ("PENDING", "RUNNING", "COMPLETING")]


COUNTING = "echo begun >> count\n"
