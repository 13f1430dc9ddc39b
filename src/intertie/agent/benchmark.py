"""`cpu@1` measured: a fixed-work program in the same sandbox and limits as a job."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from math import exp, log
from pathlib import Path
from platform import python_version
from shutil import rmtree
from statistics import median
from tempfile import gettempdir
from typing import Any

from intertie.agent.log import event
from intertie.catalogue.profiles import Profile, read_profile
from intertie.engines.host.engine import HostEngine
from intertie.engines.host.facts import cpu_model
from intertie.engines.protocol import Observed
from intertie.model.parties import Score
from intertie.model.units import GIB, MIB
from intertie.wire.sync import LeaseBody

PROFILE = "cpu@1"
PROGRAM = Path(__file__).with_name("cpu_program.py")
LIMIT_S = 120
LOCK_WAIT_S = 5.0
QUIET_PERCENT = 92  # of its promised share that the program must get, or it was disturbed
Runs = dict[str, list[int]]


@dataclass(frozen=True)
class Conditions:
    """What a score was measured under; under others it is measured again."""

    profile: str
    backend: str
    cpu: str
    python: str
    speed_percent: int
    abilities: tuple[str, ...]


def measured_score(engine: HostEngine, cache: Path, is_again: bool) -> Score | None:
    """Return one core's score, cached if nothing changed; none if a component is missing."""
    profile = read_profile(PROFILE)
    speed_percent = engine.settings.speed_percent
    abilities = engine.limits.abilities + (("sandbox",) if engine.bubblewrap else ())
    here = Conditions(
        profile=profile.name,
        backend=profile.backend,
        cpu=cpu_model(),
        python=python_version(),
        speed_percent=speed_percent,
        abilities=abilities,
    )
    told = None if is_again else _cached(cache, here)
    if told is None:
        event("benchmark begins", profile=profile.name)
        told = _measure(engine)
        cache.write_text(json.dumps({"conditions": _plain(here), "runs": told}))
    score = score_of(profile, told)
    event("benchmark", profile=profile.name, millionths=score.millionths if score else "none")
    return score


def score_of(profile: Profile, runs: Runs) -> Score | None:
    """Return the weighted geometric mean of the medians against the reference, in millionths."""
    weights = sum(part.weight for part in profile.components)
    total = 0.0
    for part in profile.components:
        measured = runs.get(part.name, [])
        if len(measured) < profile.runs or min(measured) <= 0:
            return None
        total += part.weight / weights * log(median(measured) / part.reference)
    flat = tuple(value for part in profile.components for value in runs[part.name])
    return Score(profile.name, round(exp(total) * 1_000_000), "measured", profile.backend, flat)


def _measure(engine: HostEngine) -> Runs:
    """Return the runs of one measurement, by the clock on the wall.

    If somebody else used the machine meanwhile, the wall's clock says nothing of this core; then
    the runs by CPU time count, times the share of a core that the limits leave.
    """
    with _nobody_else_measures():
        seen, wall, cpu = _run_once(engine)
    is_limited = "cpu_limit" in engine.limits.abilities
    share_percent = engine.settings.speed_percent if is_limited else 100
    got_percent = 100 * seen.cpu_ms * 100 // max(1, seen.ran_ms * share_percent)
    if got_percent >= QUIET_PERCENT:
        return wall
    event("benchmark disturbed: counting CPU time", got_percent=got_percent)
    return {name: [run * share_percent // 100 for run in runs] for name, runs in cpu.items()}


def _run_once(engine: HostEngine) -> tuple[Observed, Runs, Runs]:
    """Run the program as a job is run; return what was seen of it, and its runs by both clocks."""
    for left in engine.observe():  # by an agent that was killed while it measured
        engine.forget(left.lease, left.token)
    token = time.time_ns() // 1_000_000
    folder = engine.folder("benchmark", token)
    (folder / "work").mkdir(parents=True)
    (folder / "work" / PROGRAM.name).write_bytes(PROGRAM.read_bytes())
    try:
        engine.start("benchmark", token, _body())
        while (seen := engine.observe()[-1]).state != "over":
            engine.wait(0.5)
        text = (folder / "log").read_text()
        return seen, _read_runs(text, "wall"), _read_runs(text, "cpu")
    finally:
        engine.forget("benchmark", token)
        rmtree(folder, ignore_errors=True)


@contextmanager
def _nobody_else_measures() -> Iterator[None]:
    """Wait a while until no other agent on this machine measures: they would disturb each other."""
    with Path(gettempdir(), f"intertie-benchmark-{os.getuid()}.lock").open("a") as lock:
        until = time.monotonic() + LOCK_WAIT_S
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                flock(lock, LOCK_EX | LOCK_NB)
                break
            time.sleep(0.05)
        yield


def _body() -> LeaseBody:
    return LeaseBody(
        job="benchmark",
        task_index=0,
        attempt=1,
        project="",
        name="benchmark",
        command=["python3", "-I", PROGRAM.name],
        script="",
        workdir="",
        environment={},
        cpus_milli=1000,
        memory_bytes=256 * MIB,
        disk_bytes=GIB,
        time_limit_s=LIMIT_S,
        network=False,
        requires=[],
        results=[],
        attempt_token="",
    )


def _read_runs(text: str, clock: str) -> Runs:
    """Return the runs that the program printed, by component, in work units a second."""
    try:
        told = json.loads(text.strip().splitlines()[-1])
        return {str(name): [int(run) for run in runs[clock]] for name, runs in told.items()}
    except (ValueError, IndexError, KeyError, AttributeError, TypeError):
        return {}


def _cached(cache: Path, here: Conditions) -> Runs | None:
    try:
        kept: dict[str, Any] = json.loads(cache.read_text())
    except (OSError, ValueError):
        return None
    runs: Runs = kept.get("runs") or {}
    return runs if kept.get("conditions") == _plain(here) and runs else None


def _plain(here: Conditions) -> dict[str, Any]:
    return {**vars(here), "abilities": list(here.abilities)}
