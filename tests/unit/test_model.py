"""Ids, units, versions, plain values and the tables of states."""

from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.model.ids import decode, encode
from intertie.model.meter import UsageRecord
from intertie.model.parties import PoolFacts
from intertie.model.plain import from_plain, to_plain
from intertie.model.refusal import Refusal, Relaxation, nearest
from intertie.model.request import Checkpoint, DataReference, Request, Resources
from intertie.model.states import NEXT, JobState, TaskState, advance
from intertie.model.units import ceil_div, charge_micro, price_micro_per_su, service_units_micro
from intertie.model.versions import satisfies
from intertie.world.table import columns_of
from tests.builders import a_request, some_facts


@given(st.sampled_from(("job", "lease", "agent")), st.integers(0, 2**63 - 1))
def test_an_id_is_read_back_as_the_number_it_was_made_of(noun: str, number: int) -> None:
    assert decode(noun, encode(noun, number)) == number
    assert decode(noun, f"  {encode(noun, number).upper()} ") == number


@pytest.mark.parametrize("text", ["", "job", "job-", "lease-0001", "job-000u", "job-" + "z" * 14])
def test_what_is_not_an_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a job id"):
        decode("job", text)


def test_ids_sort_as_their_numbers_do() -> None:
    ids = [encode("job", number) for number in (1, 9, 31, 32, 1000)]
    assert ids == sorted(ids)


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_rounding_up_never_loses_and_adds_less_than_one(number: int, by: int) -> None:
    assert 0 <= ceil_div(number, by) - Fraction(number, by) < 1


@given(st.integers(1, 10**10), st.integers(1, 10**6), st.integers(1, 10**9))
def test_use_is_never_free_and_never_a_micro_credit_too_dear(
    ran_ms: int, units_milli: int, price: int
) -> None:
    exact = Fraction(ran_ms * units_milli * price, 3_600_000 * 1000)
    assert charge_micro(ran_ms, units_milli, price) > 0
    assert 0 <= charge_micro(ran_ms, units_milli, price) - exact < 1


@given(st.integers(0, 10**10), st.integers(0, 10**6), st.integers(0, 10**7))
def test_delivered_capacity_is_rounded_down(ran_ms: int, units_milli: int, score: int) -> None:
    exact = Fraction(ran_ms * units_milli * score, 3_600_000 * 1000)
    assert 0 <= exact - service_units_micro(ran_ms, units_milli, score) < 1


def test_a_unit_at_half_the_speed_costs_twice_as_much_by_service_unit() -> None:
    assert price_micro_per_su(1_000_000, 500_000) == 2_000_000
    with pytest.raises(AssertionError, match="no price per SU"):
        price_micro_per_su(1_000_000, 0)


EDGES = [(was, now) for kind in NEXT for was in kind for now in kind]


@pytest.mark.parametrize(("was", "now"), EDGES, ids=lambda s: f"{type(s).__name__}.{s.name}")
def test_a_state_moves_along_the_table_and_nowhere_else(was: IntEnum, now: IntEnum) -> None:
    if now in NEXT[type(was)][was]:
        assert advance(was, now) is now
    else:
        with pytest.raises(AssertionError, match="cannot become"):
            advance(was, now)


def test_every_state_has_its_row_in_the_table_and_can_be_reached() -> None:
    for kind, moves in NEXT.items():
        assert set(moves) == set(kind)
        reached, new = set(), {min(kind)}
        while new:
            reached |= new
            new = {after for state in new for after in moves[state]} - reached
        # A job without dependencies is born queued, and so are its tasks.
        assert reached == set(kind)


def test_what_has_ended_never_runs_again() -> None:
    assert NEXT[TaskState][TaskState.ENDED] == frozenset()
    assert NEXT[JobState][JobState.ENDED] == {JobState.SETTLED}


@pytest.mark.parametrize(
    ("version", "constraint", "is_met"),
    [
        ("3.11.7", "", True),
        ("3.11.7", "3.11", True),
        ("3.11.7", "3.1", False),
        ("3.11.7", "==3.11.7", True),
        ("3.11.7", ">=3.9,<4", True),
        ("3.9", ">=3.11", False),
        ("3.10", ">3.9", True),
        ("3.11.7", "!=3.11", False),
        ("3.11.7", "~=3.9", True),
        ("4.0", "~=3.9", False),
        ("3.11.7", "<=3.11", False),
        ("3.11.7", "about 3", False),
    ],
)
def test_a_version_meets_a_constraint_when_every_term_says_so(
    version: str, constraint: str, is_met: bool
) -> None:
    assert satisfies(version, constraint) is is_met


def test_a_frozen_value_survives_the_way_through_plain_data() -> None:
    request = a_request(
        data=(DataReference("d", 1, ("p",)),),
        checkpoint=Checkpoint("c"),
        resources=Resources(device_class="a100", device_count=2),
        values=((("A", "1"), ("B", "2")), (("A", "3"),)),
    )
    assert from_plain(Request, to_plain(request)) == request
    assert from_plain(PoolFacts, to_plain(some_facts())) == some_facts()
    refusal = Refusal("x", {"a": 1, "b": "c"}, Relaxation("y"))
    assert from_plain(Refusal, to_plain(refusal)) == refusal


def test_plain_data_with_an_unknown_field_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="Request has no field 'colour'"):
        from_plain(Request, {"name": "x", "colour": "red"})


def test_a_noun_that_is_not_all_numbers_is_not_columnar() -> None:
    assert "amount_micro" in columns_of(UsageRecord)
    with pytest.raises(AssertionError, match="not columnar"):
        columns_of(Request)


def test_the_nearest_refusal_is_the_one_with_the_smallest_change() -> None:
    far = Refusal("a", {}, Relaxation("lift_data_bound"))
    near = Refusal("b", {}, Relaxation("top_up"))
    hopeless = Refusal("c")
    assert nearest([hopeless, far, near]) is near
    assert nearest([hopeless]) is hopeless
    assert nearest([]) is None
