"""Believing observations, and what follows from what is believed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.model.meter import Observation, Sample
from intertie.model.policy import Policy
from intertie.model.states import (
    ENDED,
    FINISHING,
    RUNNING,
    Cause,
    LeaseState,
    Outcome,
    PoolState,
)
from intertie.run.observing import is_evicted, observe, outcome_of
from intertie.run.reconciling import give_up, hear, is_gone, renewed_until, stop, to_reclaim
from intertie.run.timing import attempt, stops_at
from tests.builders import NOW, a_lease, a_pool

POLICY = Policy()
PLACED = a_lease(state=LeaseState.PLACED, observed=0)


def a_sight(**known: Any) -> Observation:
    sample = Sample(**{name: known.pop(name, 0) for name in Sample.__dataclass_fields__})
    usual: dict[str, Any] = dict.fromkeys(Observation.__dataclass_fields__, 0)
    return Observation(**(usual | {"state": RUNNING, "sample": sample} | known))


def an_end(**known: Any) -> Observation:
    return a_sight(**({"state": ENDED, "cause": Cause.EXITED, "ran_ms": 5_000} | known))


sights = st.builds(
    a_sight,
    state=st.integers(0, ENDED),
    cause=st.sampled_from((Cause.NONE, Cause.EXITED, Cause.SIGNALLED)),
    exit_code=st.integers(0, 2),
    ran_ms=st.integers(0, 9_000),
    cpu_ms=st.integers(0, 9_000),
    memory_peak_bytes=st.integers(0, 9),
)


@given(st.lists(st.tuples(sights, st.integers(0, 5_000)), max_size=8))
def test_meters_never_run_back_and_states_never_go_back(
    told: list[tuple[Observation, int]],
) -> None:
    lease, now = PLACED, NOW
    for seen, later_ms in told:
        now += later_ms
        after = observe(lease, seen, now)
        for meter in ("agent_ms", "network_ms", "cpu_ms", "memory_peak_bytes", "observed", "state"):
            assert getattr(after, meter) >= getattr(lease, meter), meter
        lease = after


@given(sights, sights, st.integers(0, 5_000))
def test_an_older_sight_changes_nothing(
    first: Observation, second: Observation, later_ms: int
) -> None:
    lease = observe(PLACED, first, NOW)
    if second.state < lease.observed:
        assert observe(lease, second, NOW + later_ms) == lease


@given(sights)
def test_the_same_sight_at_the_same_instant_changes_nothing_twice(seen: Observation) -> None:
    once = observe(PLACED, seen, NOW + 1_000)
    assert observe(once, seen, NOW + 1_000) == once


def test_what_has_ended_stays_as_it_ended() -> None:
    lease = observe(PLACED, an_end(), NOW + 6_000)
    assert observe(lease, an_end(exit_code=9, ran_ms=99_000), NOW + 99_000) == lease


def test_the_networks_meter_runs_from_the_first_sight_to_the_first_sight_of_the_end() -> None:
    lease = observe(PLACED, a_sight(ran_ms=100), NOW + 1_000)
    lease = observe(lease, a_sight(ran_ms=2_000), NOW + 3_000)
    assert lease.network_ms == 2_000
    lease = observe(lease, a_sight(state=FINISHING, cause=Cause.EXITED), NOW + 6_000)
    lease = observe(lease, an_end(), NOW + 60_000)
    assert lease.network_ms == 5_000


def test_an_attempt_first_seen_at_its_end_is_metered_by_what_it_says_but_not_before_it_began() -> (
    None
):
    assert observe(PLACED, an_end(ran_ms=4_000), NOW + 6_000).network_ms == 4_000
    assert observe(PLACED, an_end(ran_ms=99_000), NOW + 6_000).network_ms == 6_000


def test_a_start_that_failed_was_never_seen_to_run() -> None:
    lease = observe(PLACED, an_end(cause=Cause.START_FAILED, ran_ms=0), NOW + 6_000)
    assert (lease.state, lease.seen_running_at, lease.network_ms) == (LeaseState.ENDED, 0, 0)


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        ({"cause": Cause.EXITED, "exit_code": 0}, Outcome.DONE),
        (
            {"cause": Cause.EXITED, "exit_code": 0, "stop_cause": Cause.CANCELLED},
            Outcome.DONE,
        ),
        ({"cause": Cause.EXITED, "exit_code": 1}, Outcome.FAILED),
        ({"cause": Cause.SIGNALLED, "stop_cause": Cause.CANCELLED}, Outcome.CANCELLED),
        ({"cause": Cause.EXITED, "exit_code": 1, "stop_cause": Cause.RECLAIMED}, Outcome.NONE),
        ({"cause": Cause.RECLAIMED}, Outcome.NONE),
        ({"cause": Cause.START_FAILED}, Outcome.NONE),
        ({"cause": Cause.LOST}, Outcome.NONE),
        ({"cause": Cause.TIMED_OUT}, Outcome.FAILED),
        ({"cause": Cause.OUT_OF_MEMORY}, Outcome.FAILED),
    ],
)
def test_how_an_attempt_ended_says_what_becomes_of_its_task(
    known: dict[str, Any], outcome: Outcome
) -> None:
    assert outcome_of(a_lease(state=LeaseState.ENDED, **known)) == outcome


def test_only_what_the_network_or_the_owner_took_away_is_an_eviction() -> None:
    assert is_evicted(a_lease(stop_cause=Cause.RECLAIMED))
    assert is_evicted(a_lease(cause=Cause.NO_FUNDS))
    assert not is_evicted(a_lease(cause=Cause.LOST))


def test_a_second_stop_keeps_the_first_cause() -> None:
    stopped = stop(a_lease(), Cause.RECLAIMED, 3, NOW + 1)
    assert (stopped.state, stopped.stop_at) == (LeaseState.STOPPING, NOW + 1)
    assert stop(stopped, Cause.CANCELLED, 9, NOW + 2) == stopped


def test_a_lease_given_up_is_lost_and_not_the_programs_fault() -> None:
    lost = give_up(a_lease(), NOW + 1)
    assert (lost.state, lost.cause) == (LeaseState.ENDED, Cause.LOST)
    assert outcome_of(lost) == Outcome.NONE


MARGIN_MS = (POLICY.grace_s + POLICY.margin_s) * 1000


@pytest.mark.parametrize("may_move", [False, True])
def test_a_lease_is_gone_only_after_its_end_and_every_margin(may_move: bool) -> None:
    lease = a_lease(until=NOW + 100_000)
    last = lease.until + MARGIN_MS
    heard = a_pool(seen_at=last)
    assert not is_gone(lease, heard, may_move, POLICY, last)
    assert is_gone(lease, heard, may_move, POLICY, last + 1)


def test_only_a_job_that_may_move_is_given_up_when_its_agent_is_silent() -> None:
    silent = a_pool(seen_at=NOW, renew_for_s=20)
    last = NOW + 20_000 + MARGIN_MS
    assert not is_gone(a_lease(), silent, True, POLICY, last)
    assert is_gone(a_lease(), silent, True, POLICY, last + 1)
    assert not is_gone(a_lease(), silent, False, POLICY, last + 1)


def test_a_grace_longer_than_the_networks_own_is_waited_for() -> None:
    patient = a_lease(until=NOW, grace_s=60)
    assert not is_gone(patient, a_pool(seen_at=NOW), False, POLICY, NOW + 65_000)
    assert is_gone(patient, a_pool(seen_at=NOW), False, POLICY, NOW + 65_001)


def test_an_owner_who_reclaims_costs_the_least_work() -> None:
    old, new = a_lease(id=1, placed_at=NOW), a_lease(id=2, placed_at=NOW + 9)
    newest = a_lease(id=3, placed_at=NOW + 9)
    assert to_reclaim([newest, old, new], 2000, 2**40, 0) == [newest]
    assert to_reclaim([newest, old, new], 1000, 2**40, 0) == [newest, new]
    assert to_reclaim([old, new], 2000, 2**40, 0) == []


def test_memory_is_reclaimed_as_cpus_are() -> None:
    leases = [a_lease(id=n, memory_bytes=4) for n in (1, 2)]
    assert [x.id for x in to_reclaim(leases, 9000, 7, 0)] == [2]


def test_what_stops_already_counts_as_given_back() -> None:
    going = a_lease(id=1, state=LeaseState.STOPPING)
    assert to_reclaim([going, a_lease(id=2)], 1000, 2**40, 0) == []


@pytest.mark.parametrize(
    ("was", "silent_ms", "is_draining", "becomes"),
    [
        (PoolState.ONLINE, 20_000, 0, PoolState.ONLINE),
        (PoolState.ONLINE, 20_001, 0, PoolState.LOST),
        (PoolState.LOST, 0, 0, PoolState.ONLINE),
        (PoolState.LOST, 0, 1, PoolState.DRAINING),
        (PoolState.DRAINING, 20_001, 1, PoolState.LOST),
        (PoolState.DRAINING, 0, 0, PoolState.ONLINE),
        (PoolState.JOINING, 99_000, 0, PoolState.JOINING),
    ],
)
def test_a_pool_is_what_its_agent_last_said_and_when(
    was: PoolState, silent_ms: int, is_draining: int, becomes: PoolState
) -> None:
    pool = a_pool(state=was, is_draining=is_draining)
    assert hear(pool, POLICY, NOW + silent_ms).state == becomes


def test_a_lease_is_renewed_in_its_second_half_and_not_past_its_time_limit() -> None:
    lease, pool = a_lease(until=NOW + 300_000), a_pool()
    far = NOW + 10**9
    assert renewed_until(lease, pool, far, POLICY, NOW + 149_999) == 0
    assert renewed_until(lease, pool, far, POLICY, NOW + 150_000) == NOW + 450_000
    assert renewed_until(lease, pool, NOW + 400_000, POLICY, NOW + 150_000) == NOW + 400_000
    assert renewed_until(lease, pool, NOW + 300_000, POLICY, NOW + 150_000) == 0
    assert renewed_until(lease, pool, 0, POLICY, NOW + 150_000) == NOW + 450_000


def test_nothing_is_renewed_that_the_network_cannot_see_running() -> None:
    now, far = NOW + 200_000, NOW + 10**9
    lost = a_pool(state=PoolState.LOST)
    assert renewed_until(a_lease(), lost, far, POLICY, now) == 0
    for state in (LeaseState.PLACED, LeaseState.STOPPING):
        assert renewed_until(replace(a_lease(), state=state), a_pool(), far, POLICY, now) == 0


def test_the_fake_engine_takes_twice_as_long_at_half_the_speed() -> None:
    full, half = attempt(NOW, 1_000, 1_000_000), attempt(NOW, 1_000, 500_000)
    assert half.ends_at - half.starts_at == 2 * (full.ends_at - full.starts_at)
    assert stops_at(NOW, grace_s=0) == NOW
    assert stops_at(NOW, grace_s=9) == NOW + 200
