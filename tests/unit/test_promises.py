"""What a quote or a budget promises about where a job may run, and what it may cost there."""

from intertie.model.parties import Terms
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.states import TaskState
from intertie.model.units import MICRO
from tests.builders import ANetwork, a_request, quoting, some_terms


def cheap_terms() -> Terms:
    return some_terms(price_micro_per_unit_h=MICRO // 10)


def a_market() -> tuple[ANetwork, int, int, int]:
    """A dear pool and a cheap one of two cores each, and a project."""
    network = ANetwork()
    dear = network.pool("dear")
    cheap = network.pool("cheap", terms=cheap_terms())
    return network, network.project("lab"), dear, cheap


def pools_of(network: ANetwork, job: int) -> set[int]:
    return {lease.pool for lease in network.world.leases.where(job=job)}


def test_who_took_a_quote_without_a_budget_runs_only_where_the_quote_says() -> None:
    network, project, dear, cheap = a_market()
    quote = network.ask("quote", project, quoting(a_request(task_count=4))).values["quote"]
    job = network.job(project, task_count=4, quote=quote)
    assert pools_of(network, job) == {cheap}
    assert network.world.pools.get(dear).lent_cpus_milli == 2000
    answer = network.ask("why", project, {"job": job})
    refusals = dict(answer.document.refusals)
    assert refusals[dear].code == "not_in_quote"
    assert refusals[dear].relaxation is not None


def test_a_budget_lets_a_quoted_job_go_where_the_quote_did_not_say() -> None:
    network, project, dear, cheap = a_market()
    asked = {"task_count": 4, "budget_micro": 5 * MICRO}
    quote = network.ask("quote", project, quoting(a_request(**asked))).values["quote"]
    job = network.job(project, **asked, quote=quote)
    assert pools_of(network, job) == {dear, cheap}


def test_a_job_without_quote_or_budget_never_waits_beside_free_machines() -> None:
    network, project, dear, cheap = a_market()
    job = network.job(project, task_count=4)
    assert pools_of(network, job) == {dear, cheap}


def test_a_task_never_goes_where_it_costs_more_than_its_part_of_the_budget() -> None:
    network, project, dear, cheap = a_market()
    one_task_dear = 10 * MICRO // 3600
    job = network.job(project, task_count=4, budget_micro=4 * (one_task_dear - 1))
    assert pools_of(network, job) <= {cheap}
    refusal = dict(network.ask("why", project, {"job": job}).document.refusals)[dear]
    assert isinstance(refusal, Refusal)
    assert refusal.code == "over_task_limit"


def test_a_full_pool_says_about_how_long_to_wait() -> None:
    network = ANetwork()
    pool = network.pool("only")
    project = network.project("lab")
    network.job(project, task_count=2)
    job = network.job(project)
    refusal = dict(network.ask("why", project, {"job": job}).document.refusals)[pool]
    assert refusal.code == "pool_full"
    assert refusal.relaxation is not None
    assert refusal.relaxation.code == "wait"
    # Ten seconds of work, and the two that a start may take.
    assert 10 <= int(refusal.relaxation.values["about_s"]) <= 13


def test_a_short_task_asks_for_a_small_hold_and_a_long_one_is_renewed() -> None:
    network = ANetwork()
    network.pool("lab")
    project = network.project("lab")
    job = network.job(project, time_limit_s=3600)
    [lease] = network.world.leases.where(job=job)
    assert lease.until - lease.placed_at == network.policy.lease_s_min * 1000


def test_a_project_that_was_given_nothing_too_long_goes_before_those_who_used_less() -> None:
    network = ANetwork(Policy(starved_s=60))
    network.pool("lab", terms=some_terms(lent_cpus_milli=1000))
    greedy, modest = network.project("greedy"), network.project("modest")
    network.job(greedy, expected_s=150, time_limit_s=300)
    network.pass_s(1)
    aged = network.job(greedy, expected_s=5)
    for _ in range(9):
        network.job(modest, expected_s=20, time_limit_s=100)
    network.pass_s(155)
    assert not pools_of(network, aged), "the modest project used less and goes first"
    network.pass_s(57)
    assert pools_of(network, aged)


def test_a_gang_that_loses_a_member_is_evicted_whole_and_placed_whole() -> None:
    network = ANetwork()
    pool = network.pool("lab")
    project = network.project("lab")
    job = network.job(project, task_count=2, is_gang=1, expected_s=30)
    network.pass_s(5)
    network.agents[pool].lent_cpus_milli = 1000
    network.pass_s(5)
    assert {task.state for task in network.world.tasks.where(job=job)} == {TaskState.QUEUED}
    network.agents[pool].lent_cpus_milli = 2000
    network.pass_s(5)
    assert {task.state for task in network.world.tasks.where(job=job)} == {TaskState.RUNNING}
    assert all(task.resumes == 1 for task in network.world.tasks.where(job=job))


def test_a_job_waits_for_a_pool_that_is_only_away_and_runs_when_it_is_back() -> None:
    network = ANetwork()
    pool = network.pool("lab")
    project = network.project("lab")
    network.agents[pool].lent_cpus_milli = 0
    network.pass_s(2)
    job = network.job(project, expected_s=3)
    assert not pools_of(network, job)
    why = network.ask("why", project, {"job": job}).document
    assert [refusal.code for _, refusal in why.refusals] == ["owner_reclaimed"]
    network.agents[pool].lent_cpus_milli = 2000
    network.pass_s(2)
    assert pools_of(network, job) == {pool}
