"""Containers on the host engine: real images of a real podman, in the engine's own sandbox."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.host.engine import HostEngine, open_engine
from intertie.engines.host.images import _make_places
from intertie.engines.registry import EngineSettings
from intertie.model.images import check_image
from intertie.model.units import MIB
from intertie.wire.sync import LeaseBody
from tests.engines.hosting import (
    LEASE,
    a_body,
    an_engine,
    clean,
    is_running,
    log_of,
    run,
    see,
    until,
    until_state,
)
from tests.servers.podman import Podman, podman

__all__ = ["podman"]

ABSENT = f"localhost/absent@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def image(podman: Podman) -> str:
    return podman.make("busybox", "ENV COLOUR=blue", "ENV PATH=/opt/own:/bin", "ENTRYPOINT /bin/no")


@pytest.fixture
def engine(podman: Podman, tmp_path: Path) -> Iterator[HostEngine]:
    with an_engine(tmp_path / "pool") as made:
        yield made


class TestContainers(EngineConformance):
    """The whole protocol, with an image in every body."""

    engine_name = "host"

    @pytest.fixture(autouse=True)
    def in_image(self, image: str) -> None:
        self.image = image

    def a_body(self, *code: str, **known: Any) -> LeaseBody:
        return super().a_body(*code, **known).model_copy(update={"image": self.image})


def test_a_pool_says_that_it_runs_containers_only_where_podman_works(
    engine: HostEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "containers" in engine.facts().abilities
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", "/nowhere/storage.conf")
    with an_engine(tmp_path / "other") as other:
        assert "containers" not in other.facts().abilities
        with pytest.raises(ValueError, match="image: this pool runs no containers"):
            other.start(LEASE, 1, a_body("true", image=ABSENT))


def test_the_digest_of_what_ran_is_told(engine: HostEngine, image: str) -> None:
    seen = run(engine, a_body("true", image=image))
    assert seen.image == image.rpartition("@")[2]
    assert run(engine, a_body("true"), token=2).image == ""


def test_the_program_sees_the_image_and_not_this_machine(engine: HostEngine, image: str) -> None:
    script = "echo $COLOUR $PATH; ls -d /home /usr; id -un; grep -c images-own /etc/passwd"
    run(engine, a_body(script=script, image=image))
    log = log_of(engine)
    assert "blue /opt/own:/bin" in log
    assert "/home: No such file" in log
    assert "/usr: No such file" in log
    assert log.endswith("job\n1\n")


def test_only_work_and_scratch_can_be_written(engine: HostEngine, image: str) -> None:
    places = "/new /bin/new /etc/passwd /job/new /proc/sys/kernel/hostname"
    script = f"touch mine /tmp/x /var/tmp/x /dev/shm/x && for p in {places}; do echo > $p; done"
    run(engine, a_body(script=script, image=image))
    assert (engine.folder(LEASE, 1) / "work" / "mine").exists()
    assert len(log_of(engine).splitlines()) == len(places.split())


def test_a_container_has_no_powers(engine: HostEngine, image: str) -> None:
    script = "grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status; id -u"
    run(engine, a_body(script=script, image=image))
    told = log_of(engine).split()
    for name in ("CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"):
        assert told[told.index(name) + 1] == "0" * 16
    assert told[told.index("NoNewPrivs:") + 1] == "1"
    assert told[-1] != "0"


def test_there_is_no_network_unless_it_is_asked_for(engine: HostEngine, image: str) -> None:
    script = "ls /sys 2>/dev/null; tail -n +3 /proc/net/dev | wc -l"
    run(engine, a_body(script=script, image=image), token=1)
    run(engine, a_body(script=script, image=image, network=True), token=2)
    assert int(log_of(engine, 1)) == 1
    assert int(log_of(engine, 2)) > 1 or len(socket.if_nameindex()) == 1


def test_the_limits_are_those_of_the_sandbox(podman: Podman, image: str, tmp_path: Path) -> None:
    with an_engine(tmp_path / "pool", pids_max=16) as engine:
        abilities = engine.facts().abilities
        take = "x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}"
        hungry = run(engine, a_body(script=take, image=image, memory_bytes=64 * MIB), token=1)
        assert hungry.cause == "out_of_memory" or "memory_limit" not in abilities
        fork = "for i in $(seq 40); do sleep 5 & done; jobs -p | wc -l"
        run(engine, a_body(script=fork, image=image), token=2)
        assert "fork" in log_of(engine, 2) or "pids_limit" not in abilities
        fill = "head -c 8000000 /dev/zero > big; sync; sleep 60"
        full = run(engine, a_body(script=fill, image=image, disk_bytes=4 * MIB), token=3)
        assert full.cause == "out_of_disk"
        spin = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
        slow = run(engine, a_body(script=spin, image=image, cpus_milli=250), token=4)
        assert slow.cpu_ms <= 0.4 * slow.ran_ms + 100 or "cpu_limit" not in abilities


def test_an_image_that_is_not_here_is_refused_with_the_reason(engine: HostEngine) -> None:
    seen = run(engine, a_body("true", image=ABSENT))
    assert (seen.cause, seen.image) == ("start_failed", "")
    assert 'its owner lets none be fetched (pull = "never")' in seen.detail


def test_an_image_that_cannot_be_fetched_says_so(podman: Podman, tmp_path: Path) -> None:
    gone = f"localhost:9/lab/gone@sha256:{'1' * 64}"
    with an_engine(tmp_path / "pool", pull="missing") as engine:
        seen = run(engine, a_body("true", image=gone))
    assert seen.cause == "start_failed"
    assert "could not be fetched" in seen.detail


def test_an_image_without_a_shell_is_refused(podman: Podman, engine: HostEngine) -> None:
    seen = run(engine, a_body("ls", image=podman.make("bare", without=("sh",))))
    assert (seen.cause, "/bin/sh" in seen.detail) == ("start_failed", True)


@pytest.mark.parametrize(
    "name", ["dir:/etc", "docker-archive:/etc/shadow", "--root=/", "busybox", "oci:5/x", "a.b/../c"]
)
def test_a_name_that_reads_local_files_or_options_is_no_image(name: str) -> None:
    with pytest.raises(ValueError, match="no image name"):
        check_image(name)


def test_a_name_with_port_tag_and_digest_is_one() -> None:
    check_image(f"registry.lab.cn:5000/team/my_tool.x-1:v1.2@sha256:{'a' * 64}")


def test_a_stop_while_the_image_is_being_prepared_ends_it(engine: HostEngine, image: str) -> None:
    engine.start(LEASE, 1, a_body("touch", "started", image=image))
    engine.stop(LEASE, 1, "cancelled", 0)
    assert until_state(engine, "over").cause == "cancelled"
    assert not (engine.folder(LEASE, 1) / "work" / "started").exists()


def test_links_in_an_image_lead_nowhere(podman: Podman, tmp_path: Path) -> None:
    """Places that the sandbox needs are made in the image's own folder, whatever it has there."""
    victim = tmp_path / "victim"
    victim.mkdir()
    name = podman.make("trap")
    with an_engine(tmp_path / "pool") as engine:
        assert engine.images is not None
        ready = engine.images.prepare(name, set())
        root = ready.root
        (root / "work").rmdir()
        (root / "work").symlink_to(victim)
        _make_places(root)
        assert not (root / "work").is_symlink()
        run(engine, a_body(script="echo x > mine", image=name))
    assert list(victim.iterdir()) == []


def test_a_container_whose_shim_is_killed_leaves_no_process(engine: HostEngine, image: str) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    engine.start(
        LEASE, 1, a_body("sh", "-c", f"setsid sleep 300 & sleep 300; # {marker}", image=image)
    )
    until_state(engine, "running")
    until(engine, lambda: is_running(marker), "the program")
    os.kill(engine._shims[engine.folder(LEASE, 1).name], signal.SIGKILL)
    assert until_state(engine, "over").cause == "lost"
    until(engine, lambda: not is_running(marker), "the program is gone")


AGENT = """
import sys, time
from pathlib import Path
from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.wire.sync import LeaseBody
engine = HostEngine(HostSettings(Path(sys.argv[1])))
engine.start("lease-0001", 1, LeaseBody.model_validate_json(sys.argv[2]))
while not any(seen.state == "running" for seen in engine.observe()):
    engine.wait(0.05)
print("up", flush=True)
time.sleep(300)
"""


def test_a_container_outlives_its_agent_and_is_adopted(
    podman: Podman, image: str, tmp_path: Path
) -> None:
    body = a_body("sh", "-c", "sleep 3; echo last; exit 7", image=image)
    argv = [sys.executable, "-c", AGENT, str(tmp_path / "pool"), body.model_dump_json()]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "up\n"
        agent.kill()
    with an_engine(tmp_path / "pool") as later:
        assert (seen := see(later)) is not None
        assert (seen.state, seen.image) == ("running", image.rpartition("@")[2])
        assert until_state(later, "over").exit_code == 7
        assert log_of(later) == "last\n"


def test_an_agent_killed_while_the_image_was_prepared_is_no_loss(
    engine: HostEngine, image: str
) -> None:
    """A later agent finds the attempt pending, and its start is repeated."""
    folder = engine.folder(LEASE, 1)
    folder.mkdir()
    (folder / "spec.json").write_text('{"groups": {}}')
    assert (seen := see(engine)) is not None
    assert seen.state == "pending"
    assert run(engine, a_body("sh", "-c", "exit 4", image=image)).exit_code == 4


def test_an_image_is_unpacked_once_and_goes_when_nobody_used_it_for_a_week(
    podman: Podman, engine: HostEngine, image: str
) -> None:
    assert engine.images is not None
    first = engine.images.prepare(image, set())
    podman_is_not_asked = engine.images.podman
    engine.images.podman = "/nowhere/podman"
    assert engine.images.prepare(image, set()) == first
    engine.images.podman = podman_is_not_asked
    os.utime(first.root.parent, (0, 0))
    engine.images.prepare(podman.make("another", "ENV X=1"), {first.digest})
    assert first.root.exists()
    engine.images.prepare(podman.make("a-third", "ENV X=2"), set())
    assert not first.root.exists()


def test_settings_of_the_owner_are_checked_by_name(tmp_path: Path) -> None:
    for table, said in (({"pull": "always"}, "pull:"), ({"pul": "never"}, "pul: no such setting")):
        with pytest.raises(ValueError, match=said):
            open_engine(EngineSettings(tmp_path / "pool", table=table))
    engine = open_engine(EngineSettings(tmp_path / "pool", table={"pull": "missing"}))
    assert engine.settings.pull == "missing"
    clean(engine)
    engine.close()
