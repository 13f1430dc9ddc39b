"""The Slurm engine over slurmrestd: the same answers as by commands, and what breaks there."""

import logging
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread

import pytest

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.slurm.commands import Ask, Submission
from intertie.engines.slurm.rest_site import RestSite
from intertie.engines.slurm.runner import SiteRefuses
from intertie.engines.slurm.settings import SlurmSettings
from tests.engines.slurm.slurming import (
    COUNTING,
    GPU,
    LEASE,
    active,
    an_engine,
    count,
    ended,
    over_rest,
    run_as_nobody,
    running,
    see,
    start,
    until,
    until_state,
    work,
)
from tests.servers.slurm_rest import RestCluster, missing

SUBMISSION = Submission("intertie-x", ("lease-9-1",), Ask(("none",), 1, 1, "", 0, 1), "/", "/o")


@pytest.fixture
def breakable() -> Iterator[RestCluster]:
    """A cluster of this test's own: it is about to be broken."""
    if why := missing():
        pytest.skip(why)
    with RestCluster("sigma", cpu_nodes=1) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[int, str], RestSite]]:
    """A site whose slurmrestd gives one answer to everything, over a real connection."""
    servers = []

    def make(status: int, text: str, token: str = "a.secret.token") -> RestSite:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        (tmp_path / "token").write_text(token)
        url = f"http://127.0.0.1:{server.server_port}"
        return RestSite(SlurmSettings(rest=url, token_file=str(tmp_path / "token")))

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_rest_and_commands_tell_the_same_of_one_site(slurm_rest: RestCluster) -> None:
    with over_rest(slurm_rest) as rest, an_engine(slurm_rest) as commands:
        own = slurm_rest.submit("--gres=gpu:a100:1", "--mem=100", "--cpus-per-task=3")
        until(
            rest,
            lambda: any(f"{own} " in row and "RUNNING" in row for row in slurm_rest.jobs()),
            "the own job to run",
        )
        assert rest.facts().nodes[0].name == commands.facts().nodes[0].name
        assert rest.site.nodes(("main",)) == commands.site.nodes(("main",))
        assert rest.site.queued(("main",)) == commands.site.queued(("main",))
        assert rest.site.partitions() == commands.site.partitions()
        assert rest.room() == commands.room()
        seen = ended(rest, "true", **GPU)
        [job] = [each for each in rest.site.own_jobs() if each.node == seen.node]
        assert job in commands.site.own_jobs()
        slurm_rest.run("scancel", own)


def test_devices_are_given_and_a_job_beside_full_nodes_waits(slurm_rest: RestCluster) -> None:
    with over_rest(slurm_rest) as engine:
        own = slurm_rest.submit("--gres=gpu:a100:4", "--time=30")
        until(engine, lambda: (room := engine.room()) and room.device_count == 0, "no room")
        start(engine, 'echo "$CUDA_VISIBLE_DEVICES" > seen', **GPU)
        until(engine, lambda: (s := see(engine)) and s.expected_start_at, "a start")
        waiting = until(engine, lambda: (s := see(engine)) and s.detail and s, "the site's reason")
        assert (waiting.state, waiting.detail) == ("pending", "Resources")
        slurm_rest.run("scancel", own)
        assert until_state(engine, "over").exit_code == 0
        devices = (work(engine) / "seen").read_text()
        assert len(devices.split(",")) == 2


def test_a_gang_is_one_job_on_a_machine_for_each_member(slurm_rest: RestCluster) -> None:
    with over_rest(slurm_rest) as engine:
        for token in (1, 2):
            gang = {"id": "job-0001-5", "size": 2}
            start(engine, "exit $SLURM_PROCID", token, gang=gang, task_index=token)
        ends = [until_state(engine, "over", token) for token in (1, 2)]
        assert [seen.exit_code for seen in ends] == [0, 1]
        assert {seen.node for seen in ends} == set(slurm_rest.nodes)
        [batch] = engine.clerk.batches.load()
        assert len(batch.names) == 2


def test_the_site_is_told_not_to_repeat_a_job(slurm_rest: RestCluster) -> None:
    with over_rest(slurm_rest) as engine:
        running(engine, "sleep 60")
        [row] = active(slurm_rest)
        assert "Requeue=0" in slurm_rest.run("scontrol", "show", "job", row.split()[0])
        engine.stop(LEASE, 1, "cancelled", 0)
        assert until_state(engine, "over").cause == "cancelled"


def test_the_sites_own_no_is_a_refusal_in_its_words(slurm_rest: RestCluster) -> None:
    with over_rest(slurm_rest) as engine:
        with pytest.raises(SiteRefuses, match="Invalid partition name"):
            engine.site.submit(SUBMISSION, "#!/bin/sh\n")
        engine.site.cancel(["99999"])  # it is not there, and that is no error


def test_a_token_that_is_not_taken_is_told_and_a_new_one_needs_no_new_agent(
    breakable: RestCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = breakable.token()
    with over_rest(breakable) as engine:
        engine.facts()
        bad = good[:-6] + "abcdef"
        breakable.give_token(bad)
        start(engine, COUNTING)
        asks = (
            lambda: engine.look(True),
            lambda: engine.site.nodes(("main",)),
            lambda: engine.site.submit(SUBMISSION, "#!/bin/sh"),
            lambda: engine.site.cancel(["1"]),
        )
        for ask in asks:
            with pytest.raises(EngineUnavailable, match=r"refuses the token in .*/token") as told:
                ask()
            assert bad not in str(told.value)
        breakable.give_token(good)
        assert until_state(engine, "over").exit_code == 0
        assert count(engine) == 1
        assert good not in caplog.text
        assert bad not in caplog.text


def test_a_start_while_slurmrestd_or_the_controller_is_away_is_made_when_both_are_back(
    breakable: RestCluster,
) -> None:
    with over_rest(breakable) as engine:
        engine.facts()
        breakable.kill_rest()
        with pytest.raises(EngineUnavailable, match="does not answer"):
            engine.look(True)
        start(engine, COUNTING)
        assert [seen.state for seen in engine.observe()] == ["pending"]
        breakable.kill_controller()
        breakable.start_rest()
        with pytest.raises(EngineUnavailable, match="slurmctld is away"):
            engine.look(True)
        breakable.start_controller()
        seen = until_state(engine, "over")
        assert (seen.exit_code, count(engine)) == (0, 1), seen


def test_a_later_agent_by_commands_finds_what_one_over_rest_began(slurm_rest: RestCluster) -> None:
    folder = Path(mkdtemp(dir=slurm_rest.shared)) / "pool"
    with over_rest(slurm_rest, folder) as earlier:
        running(earlier, f"{COUNTING}sleep 3")
    with an_engine(slurm_rest, folder) as later:
        assert until_state(later, "over").exit_code == 0
        assert count(later) == 1


def test_an_ordinary_user_with_a_token_of_its_own_suffices(slurm_rest: RestCluster) -> None:
    """A child of this process becomes `nobody`, and runs the whole of an attempt."""
    folder = Path(mkdtemp(dir=slurm_rest.shared))
    token_file = folder / "token"
    token_file.write_text(slurm_rest.token("nobody"))
    token_file.chmod(0o600)
    for path in (folder, token_file):
        shutil.chown(path, "nobody", "nogroup")
    assert run_as_nobody(over_rest(slurm_rest, folder / "pool", token_file)) == 0
    assert (folder / "pool" / f"{LEASE}-1" / "work" / "who").read_text() == "65534\n"


def test_an_answer_without_a_right_is_told_and_holds_no_token(
    site: Callable[..., RestSite],
) -> None:
    with pytest.raises(EngineUnavailable, match=r"refuses the token in .*`scontrol token`") as told:
        site(401, "Authentication failure").own_jobs()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("answer", [(200, "<html>"), (404, "no"), (200, "[]"), (200, '{"a": 1}')])
def test_what_is_no_slurmrestd_is_not_understood(
    site: Callable[..., RestSite], answer: tuple[int, str]
) -> None:
    with pytest.raises(EngineUnavailable, match=f"is not understood: {answer[0]}"):
        site(*answer).own_jobs()


@pytest.mark.parametrize("token", ["", "two words", "secret\nsecret", "sécret"])
def test_a_file_without_a_token_is_named_and_not_shown(
    site: Callable[..., RestSite], token: str
) -> None:
    with pytest.raises(EngineUnavailable, match="holds no token; put one into it") as told:
        site(200, "{}", token).own_jobs()
    assert "cret" not in str(told.value)
