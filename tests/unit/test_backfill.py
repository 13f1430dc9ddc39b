"""Room that is kept for the first who waits, through the whole river."""

from intertie.cycle.running import releases_of
from intertie.model.policy import Policy
from intertie.model.request import Resources
from intertie.model.states import JobState
from intertie.model.units import GIB
from intertie.simulator.recording import replay
from tests.builders import ANetwork, a_node, job_of, leases_of, some_facts, some_terms

EASY = Policy()


def a_site(policy: Policy) -> tuple[ANetwork, int]:
    """One machine of four cores, of which a job of a hundred seconds holds two."""
    network = ANetwork(policy)
    node = a_node(cpus_milli=4000, memory_bytes=16 * GIB)
    terms = some_terms(lent_cpus_milli=4000, lent_memory_bytes=16 * GIB)
    network.pool("lab", nodes=(node,), terms=terms)
    project = network.project("p")
    network.job(project, **of(2, 100))
    network.pass_s(1)
    return network, project


def of(cores: int, seconds: int) -> dict[str, object]:
    """A job that says how long it takes, and takes it."""
    resources = Resources(cpus_milli=1000 * cores)
    return {"resources": resources, "expected_s": seconds, "time_limit_s": 2 * seconds}


def states(network: ANetwork, *jobs: int) -> list[JobState]:
    return [JobState(job_of(network, job).state) for job in jobs]


def test_behind_the_first_who_waits_goes_only_who_is_gone_by_then() -> None:
    network, project = a_site(EASY)
    large = network.job(project, **of(4, 50))
    long, short = network.job(project, **of(2, 300)), network.job(project, **of(2, 60))
    network.pass_s(1)
    assert states(network, large, long, short) == [
        JobState.QUEUED,
        JobState.QUEUED,
        JobState.RUNNING,
    ]
    network.pass_s(110)
    assert states(network, large, long) == [JobState.RUNNING, JobState.QUEUED]
    network.pass_s(500)
    assert states(network, large, long) == [JobState.SETTLED, JobState.SETTLED]


def test_where_nothing_is_kept_the_long_one_goes_first_and_the_large_one_waits_for_it() -> None:
    network, project = a_site(Policy(backfill="first-fit"))
    large, long = network.job(project, **of(4, 50)), network.job(project, **of(2, 300))
    network.pass_s(110)
    assert states(network, large, long) == [JobState.QUEUED, JobState.RUNNING]


def test_a_lease_whose_node_has_gone_gives_nothing_back_and_breaks_nothing() -> None:
    network = ANetwork(EASY)
    first, second = a_node(cpus_milli=1000), a_node(name="n2")
    network.pool("lab", nodes=(first, second))
    project = network.project("p")
    network.job(project, **of(2, 100))
    network.pass_s(1)
    [lease] = leases_of(network)
    [pool] = network.agents
    network.rejoin(pool, some_facts(name="lab", nodes=(first,)))
    assert network.world.nodes.find(lease.node) is None
    nodes = network.world.nodes.numbers(network.world.nodes.used())
    assert releases_of(network.world, nodes, EASY, network.now).at.tolist() == []
    waiting = [network.job(project, **of(1, 20)) for _ in range(2)]
    network.pass_s(1)
    assert JobState.QUEUED in states(network, *waiting)


def test_a_network_that_keeps_room_is_replayed_to_the_same_decisions() -> None:
    network, project = a_site(EASY)
    for cores, seconds in ((4, 50), (2, 300), (1, 20), (2, 60), (3, 10)):
        network.job(project, **of(cores, seconds))
    network.pass_s(900)
    assert replay(network.recording).differing == ()
