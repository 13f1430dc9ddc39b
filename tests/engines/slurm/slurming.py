"""Builders for tests of the Slurm engine on a real cluster: an engine that cleans up, waiting."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

import pytest

from intertie.engines.protocol import EngineUnavailable, Observed
from intertie.engines.registry import EngineSettings
from intertie.engines.slurm.commands import Submission
from intertie.engines.slurm.engine import SlurmEngine, open_engine
from tests.engines import hosting
from tests.servers.slurm import SlurmCluster
from tests.servers.slurm_rest import RestCluster

DEADLINE_S = 90.0
NOBODY = 65_534
LEASE = hosting.LEASE
GPU: dict[str, Any] = {"device_class": "a100", "device_count": 2}
a_body = hosting.a_body


@contextmanager
def an_engine(
    cluster: SlurmCluster, folder: Path | None = None, **table: Any
) -> Iterator[SlurmEngine]:
    """An engine on a cluster, by its commands."""
    with _opened(cluster, folder, {"conf": str(cluster.conf)} | table) as engine:
        engine.site.runner.environment["PATH"] = cluster.environment["PATH"]
        yield engine


@contextmanager
def over_rest(
    cluster: RestCluster, folder: Path | None = None, token_file: Path | None = None
) -> Iterator[SlurmEngine]:
    """An engine that has the address and a token, and none of the site's commands."""
    table = {"rest": cluster.url, "token_file": str(token_file or cluster.token_file)}
    with _opened(cluster, folder, table) as engine:
        yield engine


@contextmanager
def _opened(
    cluster: SlurmCluster, folder: Path | None, table: dict[str, Any]
) -> Iterator[SlurmEngine]:
    folder = folder or Path(mkdtemp(dir=cluster.shared)) / "pool"
    known = {"partitions": ["main"], "poll_s": 0.5}
    engine = open_engine(EngineSettings(folder, grace_s=2, table=known | table))
    try:
        yield engine
    finally:
        engine.close()


def start(engine: SlurmEngine, script: str, token: int = 1, **known: Any) -> None:
    """Start an attempt that runs a script."""
    engine.start(LEASE, token, a_body(script=script, **known))


def running(engine: SlurmEngine, script: str, **known: Any) -> Observed:
    """Start one, and return what is seen of it when it runs."""
    start(engine, script, **known)
    return until_state(engine, "running")


def ended(engine: SlurmEngine, script: str, **known: Any) -> Observed:
    """Start one, and return what is seen of it when it is over."""
    start(engine, script, **known)
    return until_state(engine, "over")


def work(engine: SlurmEngine) -> Path:
    """Return the working folder of the attempt."""
    return engine.folder(LEASE, 1) / "work"


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


def lose_answers(engine: SlurmEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the site take each submission and its answer get lost; return the jobs' numbers."""
    submit, tries = engine.site.submit, []

    def submit_and_lose(submission: Submission, script: str) -> int:
        tries.append(submit(submission, script))
        raise EngineUnavailable("the answer was lost")

    monkeypatch.setattr(engine.site, "submit", submit_and_lose)
    return tries


def run_as_nobody(opened: AbstractContextManager[SlurmEngine]) -> int:
    """Run a whole attempt in a child that is `nobody`; return 0 if it ended well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with opened as engine:
                code = 0 if ended(engine, "id -u > who").exit_code == 0 else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
