"""The control plane's clock: what happens to it when somebody sets the machine's."""

import pytest

from intertie.control.clock import WallClock

HOUR_NS = 3_600 * 1_000_000_000


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS])
def test_a_wall_clock_that_is_set_moves_the_networks_clock_by_no_jump(jump_ns: int) -> None:
    passed_ns, jumped_ns = 0, 0
    clock = WallClock(lambda: 2 * HOUR_NS + passed_ns + jumped_ns, lambda: passed_ns)
    before = clock.now_ms()
    passed_ns, jumped_ns = 50_000_000, jump_ns
    assert abs(clock.now_ms() - before - 50) <= 1


def test_a_wall_clock_that_is_set_is_followed_slowly() -> None:
    passed_ns, ahead_ns = 0, 10_000_000_000
    clock = WallClock(lambda: HOUR_NS + passed_ns + ahead_ns, lambda: passed_ns)
    ahead_ns = 0
    first = clock.now_ms()
    for _ in range(100):
        passed_ns += 5_000_000_000
        clock.now_ms()
    assert clock.now_ms() - first == 500_000 - 5_000
    for _ in range(200):
        passed_ns += 5_000_000_000
        clock.now_ms()
    assert clock.now_ms() == (HOUR_NS + passed_ns) // 1_000_000
