"""Jobs that misbehave, on a real agent: each ends right, is paid for, and leaves nothing behind."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie
from intertie.wire.jobs import AttemptView, JobView
from tests.hostile.programs import PROGRAMS, Program
from tests.support.live import wait_until

LOG_LIMIT = 4 << 20
MARKER = "INTERTIE_HOSTILE_TEST"
needs_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap here")


@dataclass(frozen=True)
class Crowd:
    """All of them submitted at once, beside a job that means no harm."""

    network: EmbeddedNetwork
    client: Intertie
    abilities: frozenset[str]
    jobs: dict[str, JobView]
    marker: str


@pytest.fixture(scope="module", name="crowd")
def _crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    folder = tmp_path_factory.mktemp("hostile")
    with EmbeddedNetwork(folder / "network") as network:
        operator = network.client()
        network.keep_token("lab", operator.create_project("lab", trial=100).token)
        provider = operator.create_provider("host")
        terms = {"price": "1", "cpus": 16, "lent_cpus": 16, "grace": 1, "log": "4MiB"}
        network.add_agent("host", {"enrol_token": provider.enrol_token, **terms})
        wait_until(lambda: any(o.score for o in operator.offers()), network)
        abilities = frozenset(next(iter(operator.offers())).abilities)
        client = network.client("lab")
        marker = f"{folder}"
        jobs = {each.name: client.submit(spec_of(each, network, marker)) for each in PROGRAMS}
        innocent = {"command": ["sh", "-c", "sleep 3; echo fine"], "time_limit": "2m"}
        jobs["innocent"] = client.submit({"name": "innocent", **innocent})
        for each in PROGRAMS:
            if each.is_cancelled:
                job = jobs[each.name]
                wait_until(partial(is_said, client, job, "deaf"), network)
                client.cancel(job)
        yield Crowd(network, client, abilities, jobs, marker)


def spec_of(program: Program, network: EmbeddedNetwork, marker: str) -> dict[str, object]:
    text = program.text.replace("{port}", str(network.port))
    return {
        "name": program.name,
        "command": ["python3", "-c", text],
        "environment": {MARKER: marker},
        "time_limit": program.time_limit,
        "resources": {"cpus": 0.5, "memory": "128MiB", "disk": "48MiB"},
        **program.spec,
    }


def log(client: Intertie, job: JobView) -> str:
    return "".join(client.logs(job))


def is_said(client: Intertie, job: JobView, word: str) -> bool:
    return word in log(client, job)


def end_of(crowd: Crowd, name: str) -> tuple[JobView, AttemptView]:
    ended = crowd.client.wait(crowd.jobs[name], timeout_s=90)
    return ended, next(iter(crowd.client.tasks(ended))).attempts[-1]


@needs_sandbox
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.name)
def test_a_job_that_misbehaves_ends_right_and_is_paid_for(crowd: Crowd, program: Program) -> None:
    if "out_of_memory" in program.causes and "memory_limit" not in crowd.abilities:
        pytest.skip("no control group limits memory here")
    ended, attempt = end_of(crowd, program.name)
    said = log(crowd.client, ended)
    assert (ended.state, ended.outcome) == ("settled", program.outcome), (attempt, said[-500:])
    assert not program.causes or attempt.cause in program.causes, attempt
    assert program.exit_code in (None, attempt.exit_code)
    assert program.log in said
    assert len(said.encode(errors="surrogateescape")) <= 4 * LOG_LIMIT
    receipt = crowd.client.receipt(ended)
    assert receipt.sum_micro == 0
    assert receipt.held_micro == 0
    assert all(line.paid_s <= line.agent_s + 0.001 for line in receipt.lines)


@needs_sandbox
def test_what_never_stops_talking_is_cut_where_all_can_see(crowd: Crowd) -> None:
    ended, _ = end_of(crowd, "never-stops-talking")
    said = log(crowd.client, ended)
    assert "the log is cut here" in said
    assert LOG_LIMIT <= len(said) <= LOG_LIMIT + 1000


@needs_sandbox
def test_traps_among_the_results_are_left_where_they_are(crowd: Crowd, tmp_path: Path) -> None:
    ended, _ = end_of(crowd, "leaves-traps")
    brought = {path.name: path for path in crowd.client.results(ended, tmp_path)}
    assert brought["good.txt"].read_text() == "good"
    assert brought["-rf.txt"].read_text() == "dash"
    assert not {"secret.txt", "pipe.txt", "passwd", "sparse.txt"} & set(brought)
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert all(tmp_path in path.resolve().parents for path in brought.values())


@needs_sandbox
def test_beside_them_an_honest_job_does_its_work_and_the_books_are_right(crowd: Crowd) -> None:
    ended, _ = end_of(crowd, "innocent")
    assert (ended.outcome, log(crowd.client, ended)) == ("done", "fine\n")
    for name in crowd.jobs:
        assert crowd.client.wait(crowd.jobs[name], timeout_s=90).state == "settled"
    check = crowd.network.client().ledger_check()
    assert check.ok, check.faults
    assert check.open_holds == 0


@needs_sandbox
def test_no_process_and_no_file_is_left(crowd: Crowd) -> None:
    for name in crowd.jobs:
        crowd.client.wait(crowd.jobs[name], timeout_s=90)
    attempts = crowd.network.agent_folder("host") / "attempts"
    ends = time.monotonic() + 30
    while left := [*with_marker(crowd.marker), *attempts.glob("lease-*")]:
        assert time.monotonic() < ends, left
        time.sleep(0.1)
    assert crowd.network.agents["host"].exit_code() is None


def with_marker(marker: str) -> list[str]:
    """Return every process that has the marker in its environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARKER}={marker}".encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
