"""The host engine on real processes, in the sandbox and without one."""

import errno
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.engines.host.facts import ALL_ABILITIES
from intertie.engines.shim.status import Status
from intertie.model.units import MIB
from tests.engines.hosting import (
    LEASE,
    a_body,
    an_engine,
    is_running,
    log_of,
    run,
    see,
    until,
    until_state,
    until_written,
)

IGNORE_TERM = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)"
SAVE_ON_TERM = """
import signal, sys, time
def save(*_):
    open("saved", "w").write("progress")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
open("up", "w").write("up")
time.sleep(60)
"""


@pytest.fixture(params=["sandboxed", "direct"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostEngine]:
    with an_engine(tmp_path / "pool", is_sandboxed=request.param == "sandboxed") as made:
        yield made


def enforces(engine: HostEngine, ability: str) -> bool:
    """Whether the engine claims an ability; if not, it must say that it is not enforced."""
    facts = engine.facts()
    assert (ability in facts.abilities) != (ability in facts.not_enforced)
    return ability in facts.abilities


def test_it_says_what_it_enforces_and_what_jobs_find_installed(engine: HostEngine) -> None:
    facts = engine.facts()
    assert not set(facts.abilities) & set(facts.not_enforced)
    assert set(ALL_ABILITIES) - set(facts.abilities) == set(facts.not_enforced)
    stacks = {stack.name: stack.version for stack in facts.software}
    told = run(engine, a_body("python3", "-c", "import sys; print(sys.version.split()[0])"))
    assert told.exit_code == 0
    assert log_of(engine).strip() == stacks["python"]


def test_jobs_have_the_numpy_of_the_agents_own_environment(engine: HostEngine) -> None:
    """A numpy that was only added by PYTHONPATH is not part of it."""
    found = find_spec("numpy")
    is_own = found is not None and Path(str(found.origin)).is_relative_to(sys.prefix)
    assert ("numpy" in {stack.name for stack in engine.facts().software}) == is_own
    seen = run(engine, a_body("python3", "-c", "import numpy; numpy.ones(3) @ numpy.ones(3)"))
    assert (seen.exit_code == 0) == is_own


def test_an_exit_code_comes_back(engine: HostEngine) -> None:
    seen = run(engine, a_body("sh", "-c", "sleep 0.2; exit 3"))
    assert (seen.cause, seen.exit_code, seen.signal) == ("exited", 3, None)
    assert seen.ran_ms >= 200
    assert seen.started_at > 0


def test_a_signal_comes_back(engine: HostEngine) -> None:
    seen = run(engine, a_body("sh", "-c", "kill -SEGV $$"))
    assert (seen.cause, seen.exit_code, seen.signal) == ("signalled", None, signal.SIGSEGV)


def test_a_program_that_is_not_there_is_told_in_the_log(engine: HostEngine) -> None:
    seen = run(engine, a_body("no-such-program"))
    assert (seen.cause, seen.exit_code) == ("exited", 127)
    assert "no-such-program" in log_of(engine)


def test_a_script_runs_by_the_shell_or_by_what_it_names(engine: HostEngine) -> None:
    run(engine, a_body(script="echo one\necho two\n"), token=1)
    run(engine, a_body(script="#!/usr/bin/env python3\nprint('three')\n"), token=2)
    assert (log_of(engine, 1), log_of(engine, 2)) == ("one\ntwo\n", "three\n")


def test_arguments_and_values_arrive_as_they_are(engine: HostEngine) -> None:
    odd = "héllo\n'wörld' $HOME `id` \"\\ 算联\t"
    code = "import os, sys; sys.stdout.write(sys.argv[1] + os.environ['ODD'])"
    seen = run(engine, a_body("python3", "-c", code, odd, environment={"ODD": odd}))
    assert seen.exit_code == 0
    assert log_of(engine) == odd + odd


def test_a_value_that_cannot_be_set_is_refused_by_name(engine: HostEngine) -> None:
    with pytest.raises(ValueError, match="1BAD"):
        engine.start(LEASE, 1, a_body("true", environment={"1BAD": "x"}))


def test_the_agents_own_environment_stays_outside(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "1")
    run(engine, a_body("env"))
    assert "SECRET_OF_THE_AGENT" not in log_of(engine)
    assert "INTERTIE_TASK_INDEX=0" in log_of(engine)


def test_the_time_limit_stops_it(engine: HostEngine) -> None:
    seen = run(engine, a_body("sleep", "60", time_limit_s=1))
    assert seen.cause == "timed_out"
    assert seen.ran_ms >= 1000


def test_a_stop_gives_time_to_save(engine: HostEngine) -> None:
    engine.start(LEASE, 1, a_body("python3", "-c", SAVE_ON_TERM))
    work = engine.folder(LEASE, 1) / "work"
    until_written(engine, work / "up")
    engine.stop(LEASE, 1, "reclaimed", 30)
    seen = until_state(engine, "over")
    assert (seen.cause, seen.exit_code) == ("reclaimed", 0)
    assert (work / "saved").read_text() == "progress"


def test_what_ignores_a_stop_is_killed_after_the_grace(engine: HostEngine) -> None:
    engine.start(LEASE, 1, a_body("python3", "-c", IGNORE_TERM))
    until_written(engine, engine.folder(LEASE, 1) / "log")
    engine.stop(LEASE, 1, "cancelled", 1)
    seen = until_state(engine, "over")
    assert (seen.cause, seen.signal) == ("cancelled", signal.SIGKILL)


def test_a_second_stop_may_shorten_the_grace(engine: HostEngine) -> None:
    engine.start(LEASE, 1, a_body("python3", "-c", IGNORE_TERM))
    until_written(engine, engine.folder(LEASE, 1) / "log")
    engine.stop(LEASE, 1, "reclaimed", 3600)
    engine.stop(LEASE, 1, "cancelled", 0)
    assert until_state(engine, "over").signal == signal.SIGKILL


def test_stopping_what_is_unknown_or_over_is_fine(engine: HostEngine) -> None:
    engine.stop("lease-zzzz", 7, "cancelled", 1)
    before = run(engine, a_body("true"))
    engine.stop(LEASE, 1, "cancelled", 1)
    assert see(engine) == before


def test_what_was_withdrawn_before_its_start_never_starts(engine: HostEngine) -> None:
    engine.extend(LEASE, 1, 1)
    engine.stop(LEASE, 1, "cancelled", 0)
    engine.start(LEASE, 1, a_body("touch", "started"))
    assert not (engine.folder(LEASE, 1) / "work" / "started").exists()
    assert not (engine.folder(LEASE, 1) / "log").exists()


def test_the_lease_end_stops_it_unless_it_is_extended(engine: HostEngine) -> None:
    engine.extend(LEASE, 1, 1)
    assert run(engine, a_body("sleep", "60")).cause == "expired"
    engine.extend(LEASE, 2, 2**50)
    assert run(engine, a_body("sleep", "1.5"), token=2).cause == "exited"


def test_what_may_move_ends_with_a_silent_session(engine: HostEngine) -> None:
    engine.renew(1500)
    engine.start(LEASE, 2, a_body("sleep", "3", on_partition="keep"))
    assert run(engine, a_body("sleep", "60", on_partition="move")).cause == "lost"
    assert until_state(engine, "over", token=2).cause == "exited"


def test_too_much_disk_stops_it(engine: HostEngine) -> None:
    code = "open('big', 'wb').write(b'x' * (8 << 20)); import time; time.sleep(60)"
    assert run(engine, a_body("python3", "-c", code, disk_bytes=4 * MIB)).cause == "out_of_disk"


def test_the_log_is_whole_to_its_last_byte(engine: HostEngine) -> None:
    code = "import sys; sys.stdout.write('x' * 3_000_000 + 'the end'); sys.stderr.write('!')"
    run(engine, a_body("python3", "-c", code))
    log = log_of(engine)
    assert len(log) == 3_000_000 + len("the end!")
    assert log.endswith(("!", "the end"))


def test_a_log_without_end_is_cut_where_all_can_see(tmp_path: Path) -> None:
    with an_engine(tmp_path / "pool", log_bytes_max=1000) as engine:
        seen = run(engine, a_body("sh", "-c", "yes | head -c 500000; exit 5"))
        assert seen.exit_code == 5
        assert log_of(engine).startswith("y\n" * 500 + "\n[intertie]")
        assert len(log_of(engine)) < 1200


def test_what_it_left_in_the_background_dies_with_it(engine: HostEngine) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    script = f"setsid sh -c 'sleep 300 # {marker}' & sh -c 'sleep 300; # {marker}' & sleep 0.3"
    assert run(engine, a_body(script=script)).exit_code == 0
    until(engine, lambda: not is_running(marker), "background processes are gone")


def test_memory_is_limited_where_it_can_be(engine: HostEngine) -> None:
    code = "x = bytearray(400 << 20); print(len(x))"
    seen = run(engine, a_body("python3", "-c", code, memory_bytes=64 * MIB))
    if enforces(engine, "memory_limit"):
        assert seen.cause == "out_of_memory"
        assert seen.memory_peak_bytes <= 64 * MIB
    else:
        assert seen.exit_code == 0


def test_a_fork_bomb_is_contained_where_it_can_be(tmp_path: Path) -> None:
    code = """
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError:
    pass
print(made)
"""
    with an_engine(tmp_path / "pool", pids_max=32) as engine:
        run(engine, a_body("python3", "-c", code))
        made = int(log_of(engine))
        assert made < 32 if enforces(engine, "pids_limit") else made == 200


def test_cpu_is_limited_and_a_slowed_pool_is_really_slow(tmp_path: Path) -> None:
    code = "import time; end = time.time() + 2\nwhile time.time() < end: pass"
    with an_engine(tmp_path / "pool", speed_percent=50) as engine:
        seen = run(engine, a_body("python3", "-c", code))
        assert seen.cpu_ms > 0
        if enforces(engine, "cpu_limit"):
            assert seen.cpu_ms <= 0.6 * seen.ran_ms


def test_meters_are_read_while_it_runs(engine: HostEngine) -> None:
    engine.start(LEASE, 1, a_body("python3", "-c", "x = bytearray(30 << 20)\nwhile True: pass"))

    def is_metered() -> bool:
        seen = see(engine)
        return bool(seen and seen.ran_ms > 0 and seen.cpu_ms > 0 and seen.memory_peak_bytes > MIB)

    until(engine, is_metered, "meters")


def test_the_network_is_off_unless_asked(tmp_path: Path) -> None:
    code = "import socket; print(len(socket.if_nameindex()))"
    with an_engine(tmp_path / "pool") as engine:
        run(engine, a_body("python3", "-c", code), token=1)
        run(engine, a_body("python3", "-c", code, network=True), token=2)
        online, offline = int(log_of(engine, 2)), int(log_of(engine, 1))
        assert online > 1 or len(socket.if_nameindex()) == 1
        assert offline == 1 or not enforces(engine, "network_off")


def test_other_peoples_files_and_processes_are_not_seen(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of another")
    look = f"cat {secret}; ls /home {Path.home()} {Path(__file__).parent}"
    script = f"{look}; ls -d /proc/[0-9]* | wc -l"
    with an_engine(tmp_path / "pool") as engine:
        run(engine, a_body(script=script))
        if enforces(engine, "sandbox"):
            assert "of another" not in log_of(engine)
            assert "test_host" not in log_of(engine)
            assert int(log_of(engine).split()[-1]) < 10


def test_the_sandbox_grants_nothing(tmp_path: Path) -> None:
    with an_engine(tmp_path / "pool") as engine:
        script = "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; id -u; unshare -U true"
        seen = run(engine, a_body(script=script))
        if enforces(engine, "sandbox"):
            told = log_of(engine).split()
            assert told[1] == "0" * 16
            assert told[told.index("NoNewPrivs:") + 1] == "1"
            assert "0" not in told
            assert seen.exit_code != 0


def test_a_link_to_the_outside_leads_nowhere(tmp_path: Path) -> None:
    with an_engine(tmp_path / "pool") as engine:
        folder = engine.folder(LEASE, 1)
        (folder / "work").mkdir(parents=True)
        (tmp_path / "mine").write_text("untouched")
        (folder / "work" / "link").symlink_to(tmp_path / "mine")
        owner = (tmp_path / "mine").stat().st_uid
        run(engine, a_body(script="echo gone > link"))
        if enforces(engine, "sandbox"):
            assert (tmp_path / "mine").read_text() == "untouched"
        assert (tmp_path / "mine").stat().st_uid == owner


def test_a_library_to_preload_cannot_reach_the_launcher(tmp_path: Path) -> None:
    with an_engine(tmp_path / "pool") as engine:
        run(engine, a_body("id", "-u", environment={"LD_PRELOAD": "/work/evil.so"}))
        loaded = [row for row in log_of(engine).splitlines() if "evil.so" in row]
        assert len(loaded) <= 1
        assert os.getuid() != 0 or not engine.bubblewrap or "0" not in log_of(engine).split()


def test_starting_twice_starts_once(engine: HostEngine) -> None:
    body = a_body(script="echo started >> count; sleep 0.5")
    other = HostEngine(HostSettings(engine.settings.folder, is_sandboxed=bool(engine.bubblewrap)))
    starts = [Thread(target=each.start, args=(LEASE, 1, body)) for each in (engine, other) * 3]
    for thread in starts:
        thread.start()
    for thread in starts:
        thread.join()
    until_state(engine, "over")
    other.start(LEASE, 1, body)
    assert (engine.folder(LEASE, 1) / "work" / "count").read_text() == "started\n"
    other.close()


def test_a_later_engine_adopts_what_runs(engine: HostEngine) -> None:
    engine.start(LEASE, 1, a_body("sh", "-c", "echo up; sleep 1; exit 7"))
    until_state(engine, "running")
    engine.close()
    with an_engine(engine.settings.folder) as later:
        seen = see(later)
        assert seen is not None
        assert seen.state == "running"
        assert until_state(later, "over").exit_code == 7
        later.forget(LEASE, 1)
        assert later.observe() == []


def test_a_killed_shim_takes_its_program_along_and_is_noticed(engine: HostEngine) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    engine.start(LEASE, 1, a_body("sh", "-c", f"sleep 300; # {marker}"))
    until_state(engine, "running")
    until(engine, lambda: (seen := see(engine)) and seen.ran_ms > 0, "a heartbeat")
    os.kill(engine._shims[engine.folder(LEASE, 1).name], signal.SIGKILL)
    seen = until_state(engine, "over")
    assert seen.cause == "lost"
    assert seen.ran_ms > 0
    until(engine, lambda: not is_running(marker), "the program is gone")


def test_a_killed_shim_on_a_full_disk_is_over_once_that_can_be_written_and_is_then_forgotten(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.start(LEASE, 1, a_body("sleep", "300"))
    until_state(engine, "running")
    shim = engine._shims[engine.folder(LEASE, 1).name]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Status, "_write", full)
        os.kill(shim, signal.SIGKILL)
        until(engine, lambda: (see(engine), engine._shims)[1].get(f"{LEASE}-1") == 0, "its end")
        seen = see(engine)
        assert seen is not None
        assert seen.state == "running"
    assert until_state(engine, "over").cause == "lost"
    engine.forget(LEASE, 1)
    assert not engine.folder(LEASE, 1).exists()


def test_an_attempt_leaves_nothing_behind_once_forgotten(engine: HostEngine) -> None:
    run(engine, a_body(script="mkdir -p shut/in; chmod 000 shut/in shut; ln -s / away"))
    groups = list(Path("/sys/fs/cgroup").rglob(f"{engine.id}-*"))
    assert groups == []
    engine.forget(LEASE, 1)
    assert not engine.folder(LEASE, 1).exists()
    assert Path("/").is_dir()


def test_a_running_attempt_is_not_forgotten(engine: HostEngine) -> None:
    engine.start(LEASE, 1, a_body("sleep", "60"))
    until_state(engine, "running")
    engine.forget(LEASE, 1)
    assert see(engine) is not None


def test_without_limits_and_sandbox_it_says_so_and_runs(tmp_path: Path) -> None:
    with an_engine(tmp_path / "pool", is_sandboxed=False, is_limited=False) as engine:
        assert not set(engine.facts().abilities) & set(ALL_ABILITIES)
        seen = run(engine, a_body(sys.executable, "-c", "sum(i * i for i in range(3_000_000))"))
        assert seen.exit_code == 0
        assert seen.cpu_ms > 0


def test_a_status_cut_off_by_a_power_loss_is_a_lost_attempt(engine: HostEngine) -> None:
    run(engine, a_body("true"))
    engine.close()
    (engine.folder(LEASE, 1) / "status.json").write_text("")
    with an_engine(engine.settings.folder) as later:
        seen = see(later)
        assert seen is not None
        assert (seen.state, seen.cause) == ("over", "lost")
