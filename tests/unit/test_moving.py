"""Data that must travel first count in what is quoted and in where a job goes."""

from hypothesis import given
from hypothesis import strategies as st

from intertie.model.links import Link, travel_ms
from intertie.model.plain import from_plain, to_plain
from intertie.model.policy import Policy
from intertie.model.request import DataReference, Request
from intertie.model.units import GIB, MICRO
from intertie.placement.moving import moving_ms
from tests.builders import ANetwork, a_request, leases_of, quoting, some_facts, some_terms

LINKS = (Link("north", "south", 20, 1_000), Link("north", "west", 30, 100))
CLIMATE = DataReference("climate", GIB)
OVER_A_GIGABIT_S = 9  # 2 ** 33 bits


def a_network(**known: object) -> tuple[ANetwork, int]:
    """The data are in the north, where it is dear; in the south it is cheap."""
    network = ANetwork(Policy(links=LINKS))
    dear = some_terms(price_micro_per_unit_h=2 * MICRO)
    network.pool("store", region="north", datasets=("climate",), terms=dear)
    network.pool("fast", region="south", **known)
    return network, network.project("p")


def where(network: ANetwork, project: int, **known: object) -> str:
    job = network.job(project, **known)
    [lease] = [each for each in leases_of(network) if each.job == job]
    return network.world.documents["pool", lease.pool].region


def test_who_would_be_done_soon_goes_where_the_data_are() -> None:
    network, project = a_network()
    assert where(network, project, prefer="soonest") == "south"
    assert where(network, project, prefer="soonest", data=(CLIMATE,)) == "north"
    assert where(network, project, data=(CLIMATE,)) == "south"  # the cheapest


def test_a_quote_says_when_the_data_are_there() -> None:
    network, project = a_network()
    request = a_request(data=(CLIMATE,))
    answer = network.ask("quote", project, quoting(request))
    terms = network.world.documents["quote", answer.values["quote"]]
    waits = {option.code: option.pools[0].wait_s for option in terms.options}
    assert waits == {"store/store": 0, "fast/fast": OVER_A_GIGABIT_S}
    starts = {option.code: option.starts_in_s for option in terms.options}
    assert starts == waits


def test_data_that_come_to_a_pool_are_seen_at_once() -> None:
    network, project = a_network()
    assert where(network, project, prefer="soonest", data=(CLIMATE,)) == "north"
    south = next(n for n, agent in network.agents.items() if n != min(network.agents))
    facts = some_facts(name="fast", region="south", datasets=("climate",))
    network.rejoin(south, facts)
    assert where(network, project, prefer="soonest", data=(CLIMATE,)) == "south"


@given(st.integers(0, 2**50), st.integers(1, 10**6))
def test_travel_is_rounded_up_to_the_millisecond(size_bytes: int, mbit_per_s: int) -> None:
    found = travel_ms(size_bytes, Link("a", "b", 1, mbit_per_s))
    bits = size_bytes * 8
    assert (found - 1) * mbit_per_s * 1000 < bits <= found * mbit_per_s * 1000 or not bits


def test_of_several_holders_the_fastest_way_counts_and_of_none_nothing() -> None:
    request = Request("r", data=(CLIMATE, DataReference("model", GIB)))
    north, west, south = (
        some_facts(region=region, datasets=datasets)
        for region, datasets in (("north", ("climate",)), ("west", ("climate",)), ("south", ()))
    )
    links = (*LINKS, Link("west", "south", 5, 10_000))
    slow, fast = travel_ms(GIB, links[0]), travel_ms(GIB, links[2])
    assert moving_ms(request, south, [north], links) == slow
    assert moving_ms(request, south, [north, west], links) == fast
    assert moving_ms(request, north, [north, west], links) == 0
    assert moving_ms(request, south, [], links) == moving_ms(request, south, [north], ()) == 0


def test_a_policy_with_links_is_kept_as_it_is() -> None:
    policy = Policy(links=LINKS)
    assert from_plain(Policy, to_plain(policy)) == policy
