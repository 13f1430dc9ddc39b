"""The control plane's clock: what happens to it when somebody sets the machine's."""

import time

import pytest

from intertie.control.clock import WallClock

HOUR_NS = 3_600 * 1_000_000_000


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS])
def test_a_wall_clock_that_is_set_moves_the_networks_clock_by_no_jump(
    jump_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, wall_ns = WallClock(), time.time_ns
    before = clock.now_ms()
    began_s = time.monotonic()
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + jump_ns)
    time.sleep(0.05)
    after = clock.now_ms()
    passed_ms = (time.monotonic() - began_s) * 1000
    assert 50 <= after - before + 2 <= passed_ms * 1.02 + 4


def test_a_wall_clock_that_is_set_is_followed_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    steady_ns = 0
    wall_ns, began_ns = time.time_ns(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns + steady_ns + 10_000_000_000)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: began_ns + steady_ns)
    clock = WallClock()
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns + steady_ns)
    first = clock.now_ms()
    for _ in range(100):
        steady_ns += 5_000_000_000
        clock.now_ms()
    assert clock.now_ms() - first == 500_000 - 5_000
    for _ in range(200):
        steady_ns += 5_000_000_000
        clock.now_ms()
    assert clock.now_ms() == (wall_ns + steady_ns) // 1_000_000
