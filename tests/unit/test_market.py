"""Quotes against brute force, claims at list prices, and the dominant share."""

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intertie.market.clearing import NO_TRADE, clear
from intertie.market.dominant import units_milli
from intertie.market.quoting import SPREAD, Candidate, quote, task_seconds
from intertie.model.quote import LostOffer, QuoteTerms
from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import Request, Resources
from intertie.model.sizing import Sizing
from intertie.model.units import GIB, MICRO
from tests.builders import NOW, a_node, a_request


def a_sizing(**known: Any) -> Sizing:
    usual: dict[str, Any] = {
        "task_count": 1,
        "expected_s": 10,
        "units_milli": 1000,
        "service_units_micro": 1,
        "profile": "cpu@1",
        "source": "stated",
    }
    return Sizing(**(usual | known))


def a_candidate(pool: int, **known: Any) -> Candidate:
    usual: dict[str, Any] = {
        "pool": pool,
        "name": f"pool{pool}",
        "offer": pool,
        "price_micro_per_unit_h": 3_600_000,
        "price_version": 1,
        "score_millionths": MICRO,
        "units_milli": 1000,
        "slots_s": (0,),
    }
    return Candidate(**(usual | known))


def terms_of(request: Request, sizing: Sizing, *candidates: Candidate) -> QuoteTerms:
    terms = quote(request, sizing, list(candidates), [], 20_000, NOW)
    assert isinstance(terms, QuoteTerms), terms
    return terms


@st.composite
def markets(draw: st.DrawFn) -> tuple[int, list[Candidate]]:
    def one(pool: int) -> Candidate:
        slots = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
        return a_candidate(
            pool,
            price_micro_per_unit_h=draw(st.integers(1, 9)) * 360_000,
            score_millionths=draw(st.sampled_from((250_000, 500_000, MICRO))),
            slots_s=tuple(sorted(slots)),
        )

    return draw(st.integers(1, 4)), [one(p) for p in range(1, draw(st.integers(2, 4)))]


def soonest_by_trying_everything(count: int, pools: list[Candidate], times_s: list[int]) -> int:
    """Return the earliest last finish over every way to give the tasks to slots."""
    slots = [(at, free) for at, c in enumerate(pools) for free in c.slots_s]
    best = 10**9
    for choice in product(range(len(slots)), repeat=count):
        ends = [slots[s][1] + times_s[slots[s][0]] * choice.count(s) for s in set(choice)]
        best = min(best, max(ends))
    return best


@given(markets())
def test_an_option_finishes_as_soon_as_trying_everything_says(
    market: tuple[int, list[Candidate]],
) -> None:
    count, pools = market
    terms = terms_of(a_request(task_count=count), a_sizing(task_count=count), *pools)
    for option in terms.options:
        used = [c for c in pools if c.name == option.code] or pools
        times_s = [-(-10 * MICRO // c.score_millionths) for c in used]
        assert option.finishes_in_s == soonest_by_trying_everything(count, used, times_s)
        assert sum(p.task_count for p in option.pools) == count
        exact = sum(p.task_micro * p.task_count for p in option.pools)
        assert option.cost_micro == exact
        assert option.fee_micro == exact * 2 // 100


@given(markets(), st.sampled_from(("cheapest", "soonest")))
def test_cheapest_soonest_and_chosen_are_what_they_say(
    market: tuple[int, list[Candidate]], prefer: str
) -> None:
    count, pools = market
    terms = terms_of(a_request(task_count=count, prefer=prefer), a_sizing(task_count=count), *pools)
    costs = [o.cost_micro for o in terms.options]
    ends = [o.finishes_in_s for o in terms.options]
    assert costs[terms.cheapest] == min(costs)
    assert ends[terms.soonest] == min(ends)
    assert terms.chosen == (terms.cheapest if prefer == "cheapest" else terms.soonest)
    assert [i for i, o in enumerate(terms.options) if o.lost is None] == [terms.chosen]


def test_a_job_of_one_task_or_a_gang_is_not_spread() -> None:
    pools = [a_candidate(1), a_candidate(2)]
    two = a_sizing(task_count=2)
    assert SPREAD in [o.code for o in terms_of(a_request(task_count=2), two, *pools).options]
    gang = a_request(task_count=2, is_gang=1)
    assert SPREAD not in [o.code for o in terms_of(gang, two, *pools).options]
    assert SPREAD not in [o.code for o in terms_of(a_request(), a_sizing(), *pools).options]


def test_of_what_breaks_the_budget_and_what_keeps_it_the_second_is_chosen() -> None:
    cheap = a_candidate(1)
    dear = a_candidate(2, score_millionths=2 * MICRO, price_micro_per_unit_h=36_000_000)
    request = a_request(prefer="soonest", budget_micro=10_000)
    terms = terms_of(request, a_sizing(), cheap, dear)
    assert terms.options[terms.chosen].code == "pool1"
    lost = terms.options[terms.soonest].lost
    assert lost is not None
    assert lost.code == "over_budget"


def test_a_budget_that_no_option_keeps_is_refused_with_the_one_that_would_do() -> None:
    found = quote(a_request(budget_micro=9_999), a_sizing(), [a_candidate(1)], [], 20_000, NOW)
    assert isinstance(found, Refusal)
    assert found.relaxation == Relaxation("raise_budget", {"to_micro": 10_000})
    relaxed = a_request(budget_micro=10_000)
    assert isinstance(quote(relaxed, a_sizing(), [a_candidate(1)], [], 0, NOW), QuoteTerms)


def test_a_deadline_that_no_option_keeps_is_refused_with_the_one_that_would_do() -> None:
    request = a_request(deadline_at=NOW + 9_999)
    found = quote(request, a_sizing(), [a_candidate(1)], [], 20_000, NOW)
    assert isinstance(found, Refusal)
    assert found.relaxation == Relaxation("later_deadline", {"to_at": NOW + 10_000})


def test_without_candidates_the_nearest_reason_is_given() -> None:
    near = Refusal("latency_too_high", {}, Relaxation("allow_latency"))
    lost = [LostOffer(1, Refusal("pool_offline")), LostOffer(2, near)]
    assert quote(a_request(), a_sizing(), [], lost, 0, NOW) == near
    nothing = quote(a_request(), a_sizing(), [], [], 0, NOW)
    assert isinstance(nothing, Refusal)
    assert nothing.code == "no_offers"


def test_a_bare_time_limit_does_not_grow_on_a_slow_pool_and_no_task_exceeds_it() -> None:
    assert task_seconds(a_sizing(source="time_limit", expected_s=60), 500_000, 60) == 60
    assert task_seconds(a_sizing(expected_s=10), 500_000, 60) == 20
    assert task_seconds(a_sizing(expected_s=10), 100_000, 60) == 60


small = st.integers(0, 5)


@given(st.data())
def test_claims_rank_what_a_job_would_rather_have_and_never_what_it_cannot_pay(
    data: st.DataObject,
) -> None:
    jobs, pools = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))

    def grid(values: st.SearchStrategy[int]) -> Any:
        row = st.lists(values, min_size=pools, max_size=pools)
        return np.array(data.draw(st.lists(row, min_size=jobs, max_size=jobs)), np.int64)

    def line(values: st.SearchStrategy[int]) -> Any:
        return np.array(data.draw(st.lists(values, min_size=jobs, max_size=jobs)), np.int64)

    micro, seconds, eligible = grid(small), grid(small), grid(st.integers(0, 1)) > 0
    limit, soonest = line(small), line(st.integers(0, 1))
    claims = clear(micro, seconds, limit, soonest, eligible)
    for job in range(jobs):
        wish = [
            (seconds[job, p], micro[job, p]) if soonest[job] else (micro[job, p], seconds[job, p])
            for p in range(pools)
        ]
        for pool in range(pools):
            is_dear = limit[job] > 0 and micro[job, pool] > limit[job]
            assert claims.over_limit[job, pool] == (is_dear and eligible[job, pool])
            trades = claims.rank[job, pool] != NO_TRADE
            assert trades == (bool(eligible[job, pool]) and not is_dear)
            for other in range(pools):
                if trades and claims.rank[job, other] != NO_TRADE:
                    is_better = claims.rank[job, pool] < claims.rank[job, other]
                    assert is_better == (wish[pool] < wish[other])


@given(st.integers(1, 2000), st.integers(1, 8), st.integers(0, 4))
def test_a_task_is_billed_for_its_largest_share_of_the_node(
    cpus_milli: int, memory_gib: int, devices: int
) -> None:
    node = a_node(device_count=4, device_class="a100") if devices else a_node()
    need = Resources(cpus_milli, memory_gib * GIB, GIB, "", devices)
    share = max(Fraction(cpus_milli, 2000), Fraction(memory_gib, 8), Fraction(devices, 4))
    total = 4000 if devices else 2000
    assert 0 <= units_milli(need, node, (node,)) - share * total < 1


def test_half_the_memory_and_one_core_of_eight_pays_for_four_cores() -> None:
    node = a_node(cpus_milli=8000, memory_bytes=32 * GIB)
    assert units_milli(Resources(1000, 16 * GIB), node, (node,)) == 4000
