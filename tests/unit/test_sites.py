"""Sites with a queue, devices and accounts of their own: placing, waiting, quoting and metering."""

from dataclasses import replace
from typing import Any

import pytest

from intertie.cycle.rooms import rooms_of
from intertie.market.dominant import units_milli
from intertie.model.job import Blocked
from intertie.model.lease import Attempted, Lease
from intertie.model.ledger import TransactionKind
from intertie.model.parties import NodeFacts, device_code
from intertie.model.policy import Policy
from intertie.model.quote import QuoteTerms
from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import Request, Resources, Software
from intertie.model.states import Cause, JobState, LeaseState, Outcome
from intertie.model.units import GIB, MICRO
from intertie.run.reconciling import covered_ms
from intertie.simulator.recording import replay
from tests.builders import (
    ANetwork,
    a_node,
    a_request,
    job_of,
    leases_of,
    quoting,
    some_facts,
    some_terms,
)

HALF_A_MINUTE = (("WORK_MS", "30000"),)
MIXED = (
    a_node(name="a", cpus_milli=4000, device_class="a100", device_count=2),
    a_node(name="t", cpus_milli=4000, device_class="t4", device_count=4),
    a_node(name="c", cpus_milli=4000),
)
ALL_LENT = some_terms(lent_cpus_milli=12_000, lent_memory_bytes=24 * GIB)


def devices(device_class: str, count: int = 1, cpus_milli: int = 500) -> Resources:
    return Resources(cpus_milli, GIB, GIB, device_class, count)


def a_queued_site(queue_ms: int, **known: Any) -> tuple[ANetwork, int, int]:
    """A project, and a pool whose site lets every task wait."""
    network = ANetwork()
    project = network.project("p")
    pool = network.pool("slurm", **known)
    network.agents[pool].queue_ms = queue_ms
    network.agents[pool].waits_s = {"n1": queue_ms // 1000}
    network.pass_s(1)
    return network, project, pool


def nodes_used(network: ANetwork, job: int) -> list[int]:
    """Return the indexes of the nodes on which a job's tasks are."""
    nodes = network.world.nodes
    return [nodes.get(lease.node).index for lease in network.world.leases.where(job=job)]


def quoted(network: ANetwork, project: int, request: Request) -> QuoteTerms:
    answer = network.ask("quote", project, quoting(request))
    assert answer.refusal is None, answer
    found: QuoteTerms = network.world.documents["quote", answer.values["quote"]]
    return found


def why(network: ANetwork, project: int, job: int) -> Blocked:
    found = network.ask("why", project, {"job": job}).document
    assert isinstance(found, Blocked)
    return found


def test_a_task_runs_only_on_nodes_of_the_class_that_it_asks_for() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab", nodes=MIXED, terms=ALL_LENT)
    job = network.job(project, task_count=5, resources=devices("t4"), environment=HALF_A_MINUTE)
    assert nodes_used(network, job) == [1, 1, 1, 1]
    [(_, refusal)] = why(network, project, job).refusals
    assert refusal.code == "pool_full"
    other = network.job(project, resources=devices("a100", 2), environment=HALF_A_MINUTE)
    assert nodes_used(network, other) == [0]
    assert network.submit(project, a_request(resources=devices("h100"))) == Refusal(
        "unknown_device_class",
        {"needs": "h100", "offered": "a100, t4"},
        Relaxation("other_device", {"offered": "a100, t4"}),
    )


def test_work_without_devices_goes_to_nodes_without_devices_while_they_last() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab", nodes=MIXED, terms=ALL_LENT)
    job = network.job(project, task_count=4, environment=HALF_A_MINUTE)
    assert nodes_used(network, job) == [2, 2, 2, 2]


def test_a_quote_counts_only_the_nodes_of_the_class() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab", nodes=MIXED, terms=ALL_LENT)
    gang = a_request(task_count=3, is_gang=1, resources=devices("a100"))
    refusal = network.submit(project, gang)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.values) == ("gang_too_large", {"needs": 3, "has": 2})


def test_a_task_of_a_group_must_fit_one_of_its_machines() -> None:
    group = a_node(cpus_milli=8000, memory_bytes=32 * GIB, machine_count=4)
    network = ANetwork()
    project = network.project("p")
    lent = some_terms(lent_cpus_milli=8000, lent_memory_bytes=32 * GIB)
    pool = network.pool("slurm", nodes=(group,), terms=lent)
    refusal = network.submit(project, a_request(resources=Resources(3000)))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.values) == (
        "not_enough_cpus",
        {"needs_milli": 3000, "has_milli": 2000},
    )
    need = Resources(1500)
    # One of 1.5 cores in each of four machines, though five would fit the sum.
    assert rooms_of(network.world, network.world.pools.get(pool), need) == (4, 4, 0)


@pytest.mark.parametrize(
    ("need", "node", "milli"),
    [
        (devices("a100", 1, 500), MIXED[0], 1000),
        (devices("a100", 1, 3000), MIXED[0], 1500),
        (Resources(2000, GIB), MIXED[0], 1000),
        (Resources(2000, GIB), MIXED[1], 2000),
        # Six devices come with eight cores: three quarters of a device with each core.
        (Resources(2000, GIB), MIXED[2], 1500),
    ],
)
def test_a_task_in_a_pool_with_devices_pays_its_dominant_share_in_devices(
    need: Resources, node: NodeFacts, milli: int
) -> None:
    assert units_milli(need, node, MIXED) == milli


def test_what_a_task_is_billed_for_does_not_depend_on_the_order_of_the_nodes() -> None:
    units = set()
    for nodes in (MIXED, MIXED[::-1]):
        network = ANetwork()
        project = network.project("p")
        network.pool("lab", nodes=nodes, terms=ALL_LENT)
        request = a_request(resources=Resources(2000, GIB))
        [option] = quoted(network, project, request).options
        network.job(project, resources=Resources(2000, GIB))
        network.pass_s(20)
        [lease] = leases_of(network)
        units |= {option.pools[0].units_milli, lease.units_milli}
    assert units == {1000}


def test_no_more_devices_are_given_than_the_owner_lends_now() -> None:
    network = ANetwork()
    project = network.project("p")
    pool = network.pool("lab", nodes=MIXED, terms=ALL_LENT)
    network.agents[pool].lent_device_count = 1
    network.pass_s(11)
    job = network.job(project, task_count=3, resources=devices("t4"), environment=HALF_A_MINUTE)
    network.pass_s(1)
    assert len(nodes_used(network, job)) == 1
    two = network.ask("quote", project, quoting(a_request(resources=devices("t4", 2))))
    assert two.refusal is not None
    assert two.refusal.code == "owner_reclaimed"


def test_an_owner_who_never_lends_so_many_devices_is_told_apart_from_one_who_took_them_back() -> (
    None
):
    network = ANetwork()
    project = network.project("p")
    terms = replace(ALL_LENT, lent_device_count=2)
    network.pool("lab", nodes=MIXED, terms=terms)
    refusal = network.submit(project, a_request(resources=devices("t4", 3)))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.values) == ("not_enough_devices", {"needs": 3, "has": 2})


def test_an_owner_who_takes_devices_back_evicts_only_who_holds_some() -> None:
    network = ANetwork()
    project = network.project("p")
    pool = network.pool("lab", nodes=MIXED, terms=ALL_LENT)
    with_device = network.job(project, resources=devices("t4"), environment=HALF_A_MINUTE)
    network.pass_s(1)
    without = network.job(project, environment=HALF_A_MINUTE)
    network.pass_s(1)
    network.agents[pool].lent_device_count = 0
    network.pass_s(12)
    stopped = {lease.job: lease.stop_cause for lease in leases_of(network)}
    assert stopped == {with_device: Cause.RECLAIMED, without: Cause.NONE}


def test_a_lease_that_waits_at_its_site_is_kept_and_costs_nothing_more_than_its_run() -> None:
    network, project, pool = a_queued_site(900_000)
    job = network.job(project, environment=HALF_A_MINUTE)
    network.pass_s(1)
    [hold] = network.world.holds.rows()
    while network.world.leases.where(job=job, state=LeaseState.PLACED):
        network.pass_s(5)
        assert network.world.holds.get(hold.id) == hold, "nothing more is held while it waits"
    [lease] = network.world.leases.where(job=job)
    assert covered_ms(lease) <= 60_000
    network.pass_s(60)
    [lease] = leases_of(network)
    assert (lease.token, lease.cause, lease.charged_ms) == (1, Cause.EXITED, 30_000)
    assert lease.network_ms == 30_000
    assert job_of(network, job).outcome == Outcome.DONE
    assert network.world.pools.get(pool).wanted_digest == 0
    assert replay(network.recording).differing == ()


def test_a_task_that_began_late_runs_to_its_time_limit_on_what_was_held_for_it() -> None:
    network, project, _ = a_queued_site(130_000)
    long = (("WORK_MS", "58000"),)
    request = a_request(environment=long, expected_s=58)
    [option] = quoted(network, project, request).options
    network.job(project, environment=long, expected_s=58, budget_micro=2 * option.cost_micro)
    network.pass_s(1)
    [hold] = network.world.holds.rows()
    network.pass_s(600)
    [lease] = leases_of(network)
    assert (lease.cause, lease.charged_ms) == (Cause.EXITED, 58_000)
    booked = [t for changes in network.changes for t in changes.transactions]
    held = [t for t in booked if t.lease == hold.id and t.kind == TransactionKind.HOLD]
    assert len(held) == 1, "held once"


def test_a_site_whose_agent_falls_silent_loses_what_waits_there() -> None:
    network, project, pool = a_queued_site(900_000)
    job = network.job(project, environment=HALF_A_MINUTE)
    network.pass_s(100)
    network.agents[pool].is_silent = True
    network.pass_s(200)
    [lease] = leases_of(network)
    assert (lease.state, lease.cause) == (LeaseState.SETTLED, Cause.LOST)
    assert job_of(network, job).state == JobState.QUEUED


def test_a_job_that_is_cancelled_while_it_waits_at_its_site_costs_nothing() -> None:
    network, project, _ = a_queued_site(900_000)
    job = network.job(project, environment=HALF_A_MINUTE)
    network.pass_s(100)
    network.cancel(project, job)
    network.pass_s(20)
    settled = job_of(network, job)
    assert (settled.outcome, settled.spent_micro) == (Outcome.CANCELLED, 0)
    assert settled.state == JobState.SETTLED


def test_who_asks_why_hears_how_long_the_site_lets_it_wait() -> None:
    network, project, _ = a_queued_site(900_000)
    job = network.job(project, environment=HALF_A_MINUTE)
    network.pass_s(100)
    nearest = why(network, project, job).nearest
    assert nearest is not None
    assert nearest.code == "waits_at_site"
    assert nearest.relaxation == Relaxation("wait", {"about_s": 800})
    network.pass_s(810)
    assert why(network, project, job).nearest is None


def test_a_quote_shows_the_wait_and_finishes_after_it() -> None:
    network, project, _ = a_queued_site(400_000)
    [option] = quoted(network, project, a_request()).options
    assert option.pools[0].wait_s == 400
    assert (option.starts_in_s, option.finishes_in_s) == (400, 410)
    late = network.submit(project, a_request(deadline_at=network.now + 300_000))
    assert isinstance(late, Refusal)
    assert late.code == "deadline_too_soon"


@pytest.mark.parametrize(("prefer", "where"), [("soonest", "slow"), ("cheapest", "busy")])
def test_soonest_means_wait_and_run_together(prefer: str, where: str) -> None:
    network = ANetwork()
    project = network.project("p")
    slow = some_facts(name="slow").scores[0]
    dear = some_terms(price_micro_per_unit_h=5 * MICRO)
    pools = {
        "slow": network.pool("slow", scores=(replace(slow, millionths=MICRO // 2),), terms=dear),
        "busy": network.pool("busy"),
    }
    network.agents[pools["busy"]].waits_s = {"n1": 60}
    network.pass_s(11)
    assert quoted(network, project, a_request(prefer=prefer)).soonest == 0
    job = network.job(project, prefer=prefer, environment=HALF_A_MINUTE)
    [lease] = network.world.leases.where(job=job)
    assert lease.pool == pools[where]


def test_a_node_that_is_not_named_any_more_makes_nobody_wait() -> None:
    network, project, pool = a_queued_site(400_000)
    network.agents[pool].waits_s = {}
    network.pass_s(11)
    [option] = quoted(network, project, a_request()).options
    assert option.pools[0].wait_s == 0


def test_the_sites_own_accounts_are_a_third_meter_and_the_lowest_is_paid() -> None:
    network = ANetwork()
    project = network.project("p")
    pool = network.pool("slurm")
    network.agents[pool].has_accounts = True
    network.job(project, environment=(("WORK_MS", "10900"),))
    network.pass_s(30)
    [lease] = leases_of(network)
    assert (lease.agent_ms, lease.site_ms, lease.charged_ms) == (10_900, 10_000, 10_000)
    [usage] = [record for changes in network.changes for record in changes.usage]
    assert (usage.site_ms, usage.paid_ms, usage.is_disputed) == (10_000, 10_000, 0)
    said = [c.documents.get(("attempt", lease.id)) for c in network.changes]
    assert [each for each in said if each] == [Attempted(f"m{lease.id}")]


def test_a_session_is_admitted_where_a_pool_offers_sessions_and_is_one_task() -> None:
    network = ANetwork()
    project = network.project("p")
    plain = network.pool("plain")
    refusal = network.submit(project, a_request(kind="session"))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "no_sessions"
    able = network.pool("able", abilities=("sessions",))
    job = network.job(project, kind="session")
    [lease] = network.world.leases.where(job=job)
    assert (lease.pool, plain) != (plain, able)
    two = network.submit(project, a_request(kind="session", task_count=2))
    assert isinstance(two, Refusal)
    assert two.code == "too_many_tasks"
    service = network.submit(project, a_request(kind="service"))
    assert isinstance(service, Refusal)
    assert service.code == "kind_not_supported"


def test_a_gang_goes_where_a_pool_starts_gangs_whole() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("plain", abilities=())
    refusal = network.submit(project, a_request(task_count=2, is_gang=1))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.relaxation) == ("no_gangs", Relaxation("not_as_gang"))
    network.job(project, is_gang=1)
    able = network.pool("able", abilities=("gangs",))
    job = network.job(project, task_count=2, is_gang=1)
    assert [lease.pool for lease in network.world.leases.where(job=job)] == [able, able]


def test_a_gang_waits_for_one_pool_that_holds_all_of_it() -> None:
    network = ANetwork()
    project = network.project("p")
    for name in ("lab", "centre"):
        network.pool(name)
        network.job(project, expected_s=20, providers=(name,))
    network.pass_s(2)
    gang = network.job(project, task_count=2, is_gang=1)
    assert not network.world.leases.where(job=gang)
    why = network.ask("why", project, {"job": gang}).document
    assert {refusal.code for _, refusal in why.refusals} == {"pool_full"}
    network.pass_s(60)
    rows = [row for each in network.changes for row in each.rows.values() if isinstance(row, Lease)]
    leases = {lease.id: lease.pool for lease in rows if lease.job == gang}
    assert (len(leases), len(set(leases.values()))) == (2, 1)


def test_an_image_runs_where_a_pool_runs_containers() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("plain")
    able = network.pool("able", abilities=("containers",))
    job = network.job(project, software=Software(image="x@sha256:" + "0" * 64))
    [lease] = network.world.leases.where(job=job)
    assert lease.pool == able


def test_an_agent_of_an_older_release_lends_all_of_its_devices() -> None:
    network = ANetwork()
    pool = network.pool("lab", nodes=MIXED, terms=ALL_LENT)
    agent = network.agents[pool]
    agent.is_silent = True
    owner = {"lent_cpus_milli": 1, "lent_memory_bytes": 1, "is_draining": False}
    said = {"epoch": agent.epoch, "sequence": 99, "digest": "", "leases": [], "declines": []}
    network.ask("sync", pool, said | {"owner": owner})
    found = network.world.pools.get(pool)
    assert (found.lent_cpus_milli, found.lent_device_count) == (1, 6)


def test_a_device_class_has_one_number_and_none_has_none() -> None:
    assert device_code("") == 0
    assert device_code("a100") == device_code("a100") != device_code("a100-80g")
    assert 0 < device_code("a100") < 2**63


def test_what_waits_at_a_site_is_given_back_before_what_runs() -> None:
    network = ANetwork(Policy())
    project = network.project("p")
    pool = network.pool("lab")
    runs = network.job(project, environment=(("WORK_MS", "50000"),))
    network.pass_s(2)
    network.agents[pool].queue_ms = 900_000
    waits = network.job(project)
    network.pass_s(2)
    network.agents[pool].lent_cpus_milli = 1000
    network.pass_s(10)
    stopped: dict[int, Lease] = {lease.job: lease for lease in leases_of(network)}
    assert stopped[runs].stop_cause == Cause.NONE
    assert stopped[waits].stop_cause == Cause.RECLAIMED
