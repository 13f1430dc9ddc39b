"""Several providers whose owners come first at home: what the replay promises, and its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.idle import measure
from intertie.simulator.federation import Fate
from intertie.simulator.joining import (
    Federated,
    Kinds,
    alone,
    as_one,
    federated,
    joined,
    kinds_of,
    read_federated,
)
from intertie.simulator.policies import policies_for
from intertie.simulator.providers import Demand, Links, Provider, Providers, read_providers
from intertie.simulator.replay import ReplayPolicy
from intertie.simulator.running import Setting
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace, Trace, in_order

HERE = Path(__file__).parent
IDLE, ITP = HERE / "idle.toml", HERE / "traces" / "itp-cluster03-first-60.csv"
EASY = ReplayPolicy("easy", is_perfect=True, is_by_event=False)
GRACE_MS, S = 2_000, 1000
NEAR = Links(ms_per_km=0)


def provider(name: str, **known: object) -> Provider:
    """Four units in one place with all others, lent at any hour."""
    usual: Any = {"name": name, "trace": "", "capacity": 4, "grace_s": GRACE_MS // S}
    return Provider(**(usual | known))


def together(*traces: list[tuple[int, int, int]], **known: object) -> Federated:
    """Providers named by letters, each with jobs of (submission, run, units) in seconds."""
    told = known.pop("providers", None) or tuple(provider(name) for name in "abc"[: len(traces)])
    usual = {"providers": told, "links": NEAR, "checkpoint_s": 0}
    rows = [[(at * S, run * S, 0, units, 0) for at, run, units in trace] for trace in traces]
    said: Any = usual | known
    return federated([in_order(each) for each in rows], Providers(**said))


def waits_s(given: Federated, fate: Fate) -> list[list[int]]:
    """Return all that each job took beside its own run, in seconds, by home."""
    waits = (fate.done - given.trace.run_ms - given.trace.submit_ms) // S
    return [waits[given.trace.home == home].tolist() for home in range(len(given.capacities))]


jobs = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=6
)


@settings(deadline=None)
@given(st.lists(jobs, min_size=2, max_size=3), st.sampled_from((0, 1, 3)))
def test_who_never_waits_alone_waits_no_longer_than_the_grace(
    told: list[list[tuple[int, int, int]]], checkpoint_s: int
) -> None:
    """Lending costs a provider's users the grace at most, whatever guests there are."""
    case = together(*told, checkpoint_s=checkpoint_s)
    before, fate = alone(case, EASY), joined(case, EASY)
    after = fate.done - case.trace.run_ms
    assert (after >= case.trace.submit_ms).all()
    for home in range(len(told)):
        own = case.trace.home == home
        if (before[own] == case.trace.submit_ms[own]).all():
            assert (after[own] - before[own] <= GRACE_MS).all()


@settings(deadline=None)
@given(st.lists(jobs, min_size=2, max_size=3))
def test_providers_that_let_nobody_in_are_each_as_if_alone(
    told: list[list[tuple[int, int, int]]],
) -> None:
    case = together(*told, demand=Demand(bound=1.0))
    fate = joined(case, EASY)
    assert (fate.done - case.trace.run_ms).tolist() == alone(case, EASY).tolist()
    assert not fate.lent.any()
    assert not fate.evictions.any()


def test_a_real_slice_at_home_alone_is_the_replay_of_one_machine() -> None:
    trace = read_trace(ITP)
    case = federated([trace], Providers((provider("a", capacity=64),)))
    found = joined(case, EASY).done - trace.run_ms
    assert found.tolist() == alone(case, EASY).tolist() == as_one(case, EASY).tolist()


def test_a_guest_makes_way_with_grace_and_does_again_what_it_had_not_saved() -> None:
    case = together([(0, 8, 4), (1, 10, 4)], [(5, 3, 4)], checkpoint_s=3)
    fate = joined(case, EASY)
    # The second of a's jobs is b's guest from 1, is told to go at 5 (4 s done, 3 s saved), is gone
    # at 7 and goes on at home at 8: 7 s are left.
    assert waits_s(case, fate) == [[0, 4], [2]]
    assert fate.evictions.tolist() == [0, 1, 0]
    assert fate.lost.tolist() == [0, 3 * S * 4, 0]
    assert fate.lent.tolist() == [0, 6 * S * 4, 0]


def test_nobody_slips_into_room_that_is_being_made() -> None:
    case = together([(0, 30, 4), (1, 30, 3), (6, 1, 1)], [(5, 3, 4)])
    assert waits_s(case, joined(case, EASY))[1] == [2]


def test_what_may_not_leave_home_and_what_is_too_far_stays() -> None:
    far = (provider("a"), provider("b", lat=10.0))
    busy = ([(0, 50, 4), (1, 5, 1)], [(0, 1, 1)])
    for demand in (Demand(bound=1.0), Demand(latency_ms=((5, 1.0),))):
        case = together(*busy, providers=far, demand=demand, links=Links())
        assert waits_s(case, joined(case, EASY))[0] == [0, 49]
    case = together(*busy, providers=far, links=Links())
    assert waits_s(case, joined(case, EASY))[0] == [0, 0]


def test_data_travel_before_a_job_begins_elsewhere() -> None:
    demand = Demand(moving=1.0, gib=(1, 1))
    case = together([(0, 50, 4), (1, 5, 1)], [], demand=demand, links=Links(0, 8_590))
    assert waits_s(case, joined(case, EASY))[0] == [0, 1]  # 2 ** 33 bits at 8.59 Gbit/s


def test_guests_come_in_windows_only_and_are_gone_a_grace_after() -> None:
    night = (provider("a"), provider("b", windows=("00:01-00:02",)))
    case = together([(0, 300, 4), (0, 90, 1)], [(0, 1, 1)], providers=night)
    fate = joined(case, EASY)
    # From 60 s to 120 s, and two more to leave; what is left runs at home, from 300 s.
    assert fate.lent.tolist()[1] == 62 * S
    assert waits_s(case, fate)[0] == [0, 300]


def test_guests_hold_no_more_at_once_than_is_lent() -> None:
    two = (provider("a"), provider("b", lent=2))
    case = together([(0, 50, 4), (1, 5, 2), (1, 5, 1)], [(0, 1, 1)], providers=two)
    assert waits_s(case, joined(case, EASY))[0] == [0, 0, 5]


def test_only_who_may_be_ended_and_who_pays_the_floor_price_comes() -> None:
    busy = ([(0, 50, 4), (1, 5, 1)], [(0, 1, 1)])
    dear = (provider("a", pays_per_unit_h=1.0), provider("b", price_per_unit_h=1.5))
    for known in ({"demand": Demand(requeueable=0.0)}, {"providers": dear}):
        assert waits_s(case := together(*busy, **known), joined(case, EASY))[0] == [0, 49]


def test_who_has_used_less_for_its_size_goes_first_where_both_are_guests() -> None:
    small, large = provider("b", capacity=2), provider("c", capacity=4)
    case = together(
        [(0, 1, 1), (10, 20, 4)],
        [(0, 100, 2), (0, 30, 2), (11, 5, 2)],
        [(0, 100, 4), (12, 5, 2)],
        providers=(provider("a"), small, large),
    )
    waits = waits_s(case, joined(case, EASY))
    assert waits[2][1] <= waits[1][2]


def test_a_job_that_fits_nowhere_is_told() -> None:
    with pytest.raises(BadTrace, match=r"1 jobs fit nowhere .* wants 5 units, from a"):
        joined(together([(0, 1, 5)], [(0, 1, 1)]), EASY)


def test_what_traces_do_not_say_is_drawn_by_seed() -> None:
    case = read_federated(IDLE, [])
    again = kinds_of(read_federated(IDLE, []))
    assert (kinds_of(case).kind == again.kind).all()
    other = replace(case.told, demand=replace(case.told.demand, seed=2))
    assert len(kinds_of(Federated(case.trace, other)).kind) == len(case)
    assert (kinds_of(Federated(case.trace, other)).shape[Kinds.IS_BOUND] <= 1).all()


def test_an_idle_owner_lends_by_night_and_its_own_users_do_not_notice() -> None:
    """US12, on the first jobs of two real clusters."""
    found = measure(read_federated(IDLE, []))
    assert 0.29 <= found.occupancy_alone <= 0.31
    assert found.occupancy >= 0.39
    assert found.p90_s == found.p90_alone_s
    assert found.guests > 0
    assert found.not_requeueable == 0
    assert found.earned_credits == pytest.approx(0.5 * found.delivered_device_h)


def test_every_way_is_a_policy_by_name() -> None:
    case = together([(0, 8, 4), (1, 10, 4)], [(5, 3, 4)])
    known = policies_for(case)
    assert list(known) == ["alone", "one-pool", "joined"]
    found = known["joined"].run(case, Setting(lengths="true"))
    assert found.measures["evictions"] == 1
    again = known["joined"].run(case, Setting(lengths="true"))
    assert all((found.jobs[name] == again.jobs[name]).all() for name in found.jobs)
    assert np.array_equal(found.jobs["home"], case.trace.home)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"there is no \[\[provider\]\]"),
        ("[[provider]]\nname = 'a'\ntrace = 'x.csv'", "a provider needs capacity"),
        ("[[provider]]\nname = 'a'\ntrace = 'x'\ncapacity = 0", "capacity is at least 1"),
        ("speed = 3\n[[provider]]", "a provider needs name"),
        ("colour = 1\n[[provider]]\nname = 'a'\ntrace = 'x'\ncapacity = 1", "'colour' is none of"),
        (
            "[[provider]]\nname = 'a'\ntrace = 'x'\ncapacity = 1\nwindows = ['8-9']",
            "a window is HH:MM-HH:MM, not '8-9'",
        ),
        ("[demand]\nbound = 2\n[[provider]]\nname = 'a'\ntrace = 'x'\ncapacity = 1", "share of 2"),
        ("[[provider", "bad.toml"),
    ],
)
def test_a_file_that_makes_no_sense_is_told_by_its_word(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadTrace, match=message):
        read_providers(path)


def test_a_trace_of_a_provider_is_read_beside_its_file_or_as_given() -> None:
    case = read_federated(IDLE, [])
    assert isinstance(case.trace, Trace)
    assert [int((case.trace.home == home).sum()) for home in (0, 1)] == [300, 600]
