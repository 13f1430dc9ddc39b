"""Control groups: what is written where, on trees that this machine may not have."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from intertie.engines.host import seccomp
from intertie.engines.host.limits import NO_LIMITS, Caps, Limits, find

CAPS = Caps(cpus_milli=1500, speed_percent=50, memory_bytes=1 << 28, pids=99)


def test_a_machine_without_control_groups_has_no_abilities(tmp_path: Path) -> None:
    assert find(tmp_path) == NO_LIMITS
    assert NO_LIMITS.abilities == ()
    assert NO_LIMITS.create("x", CAPS)["procs"] == []


def test_v2_limits_are_written_to_one_group(tmp_path: Path) -> None:
    limits = Limits({}, tmp_path, frozenset({"cpu", "memory", "pids"}))
    told = limits.create("x", CAPS)
    assert limits.abilities == ("cpu_limit", "memory_limit", "pids_limit")
    assert (tmp_path / "x" / "cpu.max").read_text() == "15000 20000"
    assert (tmp_path / "x" / "memory.max").read_text() == str(1 << 28)
    assert (tmp_path / "x" / "pids.max").read_text() == "99"
    assert told["procs"] == [str(tmp_path / "x" / "cgroup.procs")]
    assert told["remove"] == [str(tmp_path / "x")]


def test_v1_and_v2_are_used_side_by_side(tmp_path: Path) -> None:
    limits = Limits({"cpu": tmp_path / "cpu"}, tmp_path / "unified", frozenset())
    told = limits.create("x", CAPS)
    assert limits.abilities == ("cpu_limit",)
    assert (tmp_path / "cpu" / "x" / "cpu.cfs_quota_us").read_text() == "15000"
    assert len(told["procs"]) == 2


@given(st.integers(1, 64_000), st.integers(1, 100))
def test_a_quota_is_the_promised_share_and_never_refused(cpus_milli: int, percent: int) -> None:
    quota_us, period_us = Caps(cpus_milli, percent, 1, 1).quota_us()
    assert quota_us >= 1000
    share = cpus_milli * percent / 100_000
    assert quota_us == 1000 or abs(quota_us / period_us - share) <= 1 / period_us


def test_the_seccomp_program_is_whole_instructions() -> None:
    assert len(seccomp.program()) % 8 == 0
