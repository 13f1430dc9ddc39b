"""What a quote or a budget promises about where a job may run, and what it may cost there."""

from intertie.model.parties import Terms
from intertie.model.refusal import Refusal
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
    assert 0 < int(refusal.relaxation.values["about_s"]) <= 11
