"""Stories of whole rounds: what becomes of jobs, leases and money when things go wrong."""

from typing import Any

from intertie.cycle.shares import project_use
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.request import Checkpoint, Resources
from intertie.model.states import Cause, JobState, Outcome, QuoteState
from intertie.model.units import GIB, MICRO
from tests.builders import (
    SLOW,
    ANetwork,
    a_leased_network,
    a_node,
    a_request,
    job_of,
    leases_of,
    quoting,
    some_facts,
    some_terms,
)
from tests.property.laws import Watch, proof_faults

ONE_CORE = some_terms(lent_cpus_milli=1000)


def events(network: ANetwork, code: str) -> list[dict[str, Any]]:
    return [e.values for c in network.changes for e in c.events if e.code == code]


def test_a_job_runs_and_settles_and_its_rest_comes_back() -> None:
    network, job, _ = a_leased_network()
    network.pass_s(30)
    done = job_of(network, job)
    assert (done.state, done.outcome, done.held_micro) == (JobState.SETTLED, Outcome.DONE, 0)
    assert done.spent_micro == -(-10_000 * MICRO // 3_600_000)
    assert proof_faults(network) == ()


def test_a_job_held_by_another_runs_only_after_that_one_is_done() -> None:
    network, first, _ = a_leased_network()
    second = network.job(job_of(network, first).project, after=(first,))
    assert job_of(network, second).state == JobState.HELD
    network.pass_s(40)
    assert job_of(network, second).outcome == Outcome.DONE
    placed = [v["lease"] for v in events(network, "task_placed")]
    assert len(placed) == 2


def test_a_job_held_by_one_that_fails_is_cancelled() -> None:
    network, first, _ = a_leased_network(environment=(("EXIT_CODE", "3"),))
    second = network.job(job_of(network, first).project, after=(first,))
    network.pass_s(40)
    assert job_of(network, first).outcome == Outcome.FAILED
    assert job_of(network, second).outcome == Outcome.CANCELLED


def test_a_held_job_can_be_cancelled() -> None:
    network, first, _ = a_leased_network()
    project = job_of(network, first).project
    second = network.job(project, after=(first,), task_count=3)
    network.cancel(project, second)
    network.pass_s(1)
    held = job_of(network, second)
    assert (held.state, held.outcome) == (JobState.SETTLED, Outcome.CANCELLED)


def test_a_running_job_is_told_to_stop_when_it_is_cancelled() -> None:
    network, job, lease = a_leased_network(environment=SLOW)
    network.cancel(job_of(network, job).project, job)
    network.cancel(job_of(network, job).project, job)
    assert network.world.leases.get(lease.id).stop_cause == Cause.CANCELLED
    network.pass_s(5)
    assert job_of(network, job).outcome == Outcome.CANCELLED
    assert proof_faults(network) == ()


def test_nobody_cancels_the_job_of_another() -> None:
    network, job, _ = a_leased_network()
    other = network.project("other")
    answer = network.ask("cancel", other, {"job": job})
    assert answer.refusal is not None
    assert answer.refusal.code == "job_unknown"
    assert not job_of(network, job).is_cancelled


def test_those_who_cannot_pay_never_keep_capacity_from_one_who_can() -> None:
    network = ANetwork()
    network.pool("lab", terms=some_terms(price_micro_per_unit_h=3_600_000, lent_cpus_milli=1000))
    for number in range(6):
        poor = network.create("project", f"poor{number}", trial_micro=11_000)
        network.job(poor, task_count=3, time_limit_s=200)
    rich = network.project("rich")
    job = network.job(rich)
    network.pass_s(1)
    assert [lease.job for lease in network.world.leases.rows()] == [job]


def test_a_gang_that_cannot_pay_never_keeps_its_own_project_waiting() -> None:
    network = ANetwork()
    nodes = (a_node(cpus_milli=8000, memory_bytes=32 * GIB),)
    terms = some_terms(
        price_micro_per_unit_h=3_600_000, lent_cpus_milli=8000, lent_memory_bytes=32 * GIB
    )
    network.pool("lab", nodes=nodes, terms=terms)
    project = network.create("project", "p", trial_micro=200_000)
    gang = network.job(project, task_count=4, is_gang=1)
    single = network.job(project)
    network.pass_s(1)
    assert [lease.job for lease in network.world.leases.rows()] == [single]
    why = network.ask("why", project, {"job": gang}).document
    assert why.nearest.code == "over_wallet"


def test_a_gang_that_fits_no_pool_is_refused_with_the_size_that_does() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab")
    found = network.submit(project, a_request(task_count=5, is_gang=1))
    assert isinstance(found, Refusal)
    assert found.code == "gang_too_large"
    assert found.relaxation is not None
    assert found.relaxation.values == {"to": 2}
    network.job(project, task_count=2, is_gang=1)


def test_a_long_task_is_renewed_to_its_end_in_one_attempt() -> None:
    network = ANetwork(Policy(lease_s=20))
    project = network.project("p")
    network.pool("lab")
    job = network.job(project, expected_s=90, time_limit_s=100)
    network.pass_s(120)
    assert job_of(network, job).outcome == Outcome.DONE
    assert len(events(network, "task_placed")) == 1
    assert proof_faults(network) == ()


def test_two_renewals_within_one_second_are_two_bookings() -> None:
    network = ANetwork(Policy(lease_s=20))
    project = network.project("p")
    network.pool("lab")
    network.job(project, environment=SLOW, time_limit_s=23)
    placed_at = network.now
    for second in (10, 20):
        network.run_until(placed_at + second * 1000)
        network.ask("top_up", 0, {"project": project, "amount_micro": 1})
    [lease] = network.world.leases.rows()
    assert lease.until == placed_at + 30_100
    assert proof_faults(network) == ()


def test_what_an_owner_reclaims_resumes_elsewhere_and_keeps_its_progress() -> None:
    network = ANetwork()
    watch = Watch(network)
    project = network.project("p")
    night = network.pool("night", terms=some_terms(price_micro_per_unit_h=100_000))
    network.pool("lab")
    job = network.job(project, expected_s=40, budget_micro=MICRO, checkpoint=Checkpoint("state", 1))
    network.pass_s(30)
    network.agents[night].lent_cpus_milli = 0
    network.pass_s(22)
    done = job_of(network, job)
    assert (done.outcome, len(events(network, "task_placed"))) == (Outcome.DONE, 2)
    assert [v["cause"] for v in events(network, "task_requeued")] == [Cause.RECLAIMED]
    watch.round(network.world)


def test_an_eviction_does_not_count_as_a_failure_however_often_it_happens() -> None:
    network, job, lease = a_leased_network(environment=SLOW, time_limit_s=900)
    agent = network.agents[lease.pool]
    for _ in range(5):
        agent.lent_cpus_milli = 0
        network.pass_s(3)
        agent.lent_cpus_milli = 2000
        network.pass_s(3)
    assert len(events(network, "task_requeued")) == 5
    assert job_of(network, job).outcome == Outcome.NONE
    [task] = network.world.tasks.where(job=job)
    assert (task.failures, task.resumes) == (0, 5)


def test_a_start_that_fails_is_tried_again_and_then_given_up() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab")
    job = network.job(project, environment=(("START", "failed"),))
    network.pass_s(20)
    ended = job_of(network, job)
    assert (ended.outcome, ended.spent_micro) == (Outcome.FAILED, 0)
    assert len(events(network, "task_placed")) == network.policy.failures_max


def test_a_program_that_fails_is_not_tried_again() -> None:
    network, job, _ = a_leased_network(environment=(("EXIT_CODE", "3"),))
    network.pass_s(20)
    assert job_of(network, job).outcome == Outcome.FAILED
    assert len(events(network, "task_placed")) == 1


def two_pools_of_which_the_first_falls_silent(on_partition: str) -> tuple[ANetwork, int]:
    network = ANetwork(Policy(lease_s=100))
    project = network.project("p")
    silent = network.pool("silent", terms=some_terms(price_micro_per_unit_h=100_000))
    network.job(
        project, environment=SLOW, time_limit_s=400, on_partition=on_partition, budget_micro=MICRO
    )
    network.pass_s(5)
    network.pool("other")
    network.agents[silent].is_silent = True
    return network, silent


def test_a_job_that_may_move_moves_only_when_its_agent_has_stopped_it() -> None:
    network, silent = two_pools_of_which_the_first_falls_silent("move")
    spoke_at = network.world.pools.get(silent).seen_at
    first_ends_at = spoke_at + network.policy.renew_for_s * 1000
    network.pass_s(90)
    first, second = leases_of(network)
    assert (first.cause, second.pool != silent) == (Cause.LOST, True)
    assert second.placed_at > first_ends_at + 10_000
    assert second.placed_at < first_ends_at + 15_000


def test_a_job_that_keeps_is_not_placed_again_before_its_lease_is_over() -> None:
    network, _ = two_pools_of_which_the_first_falls_silent("keep")
    [first] = leases_of(network)
    network.run_until(first.until + 9_000)
    assert len(leases_of(network)) == 1
    network.run_until(first.until + 13_000)
    assert len(leases_of(network)) == 2


def test_use_of_long_ago_does_not_send_a_project_to_the_end_of_the_queue() -> None:
    network, job, _ = a_leased_network()
    network.pass_s(30)
    project = job_of(network, job).project
    policy = network.policy
    now_use = project_use(network.world, project, policy, network.now)
    later = network.now + 10 * policy.fair_share_half_life_s * 1000
    assert now_use > 0
    assert project_use(network.world, project, policy, later) <= now_use // 1000


def test_the_project_that_used_less_by_weight_is_served_first() -> None:
    network = ANetwork()
    network.pool("lab", terms=ONE_CORE)
    light, heavy = network.project("light"), network.project("heavy", weight=3)
    for project in (light, heavy):
        network.job(project, task_count=8)
    network.pass_s(60)
    projects = {lease.id: lease.project for lease in leases_of(network)}
    owners = [projects[values["lease"]] for values in events(network, "task_placed")]
    assert owners.count(heavy) > owners.count(light) > 0


def test_an_owner_comes_first_on_their_own_machines() -> None:
    network = ANetwork()
    network.pool("lab", terms=some_terms(lent_cpus_milli=1000, own_project="owner"))
    guest, owner = network.project("guest"), network.project("owner")
    network.job(guest, task_count=3, environment=SLOW)
    network.pass_s(1)
    network.job(guest)
    mine = network.job(owner)
    network.pass_s(80)
    placed = [e.job for c in network.changes for e in c.events if e.code == "task_placed"]
    assert placed[1] == mine


def test_a_quote_holds_its_price_until_its_instant_and_is_used_once() -> None:
    network = ANetwork()
    project = network.project("p")
    pool = network.pool("lab")
    quote = network.ask("quote", project, quoting(a_request())).values["quote"]
    dearer = some_terms(price_micro_per_unit_h=9 * MICRO)
    network.rejoin(pool, some_facts(name="lab", terms=dearer))
    job = network.job(project, quote=quote)
    network.pass_s(1)
    [lease] = network.world.leases.where(job=job)
    assert lease.price_micro_per_unit_h == MICRO
    assert network.world.quotes.get(quote).state == QuoteState.ACCEPTED
    assert refusal_code(network, project, quote=quote) == "quote_used"


def test_a_lapsed_foreign_or_other_quote_is_refused_with_what_to_do() -> None:
    network = ANetwork()
    project, other = network.project("p"), network.project("other")
    network.pool("lab")
    quote = network.ask("quote", project, quoting(a_request())).values["quote"]
    assert refusal_code(network, other, quote=quote) == "quote_unknown"
    assert refusal_code(network, project, quote=quote, task_count=2) == "quote_other_request"
    network.pass_s(network.policy.quote_s)
    assert refusal_code(network, project, quote=quote) == "quote_lapsed"
    network.pass_s(3_700)
    assert refusal_code(network, project, quote=quote) == "quote_unknown"


def refusal_code(network: ANetwork, project: int, **known: Any) -> str:
    jobs = len(network.world.jobs)
    found = network.submit(project, a_request(**known))
    assert isinstance(found, Refusal)
    assert len(network.world.jobs) == jobs, "nothing is half-created"
    return found.code


def test_what_cannot_be_taken_on_is_refused_and_nothing_is_half_created() -> None:
    network = ANetwork()
    project = network.project("p")
    poor = network.create("project", "poor", trial_micro=1)
    network.pool("lab")
    foreign = network.job(network.project("other"))
    assert refusal_code(network, 999) == "project_unknown"
    assert refusal_code(network, poor) == "wallet_empty"
    assert refusal_code(network, project, kind="service") == "kind_not_supported"
    assert refusal_code(network, project, task_count=100_001) == "too_many_tasks"
    assert refusal_code(network, project, after=(foreign,)) == "dependency_unknown"
    assert refusal_code(network, project, profile="gpu@1") == "profile_unknown"
    network.ask("block", 0, {"project": project, "is_blocked": True})
    assert refusal_code(network, project) == "project_blocked"


def test_a_blocked_project_is_stopped_and_goes_on_when_it_is_freed() -> None:
    network, job, _ = a_leased_network(expected_s=20)
    project = job_of(network, job).project
    network.ask("block", 0, {"project": project, "is_blocked": True})
    network.pass_s(30)
    assert job_of(network, job).state == JobState.QUEUED
    assert network.ask("why", project, {"job": job}).document.nearest.code == "project_blocked"
    network.ask("block", 0, {"project": project, "is_blocked": False})
    network.pass_s(30)
    assert job_of(network, job).outcome == Outcome.DONE


def test_the_next_job_of_a_name_is_sized_from_what_the_last_one_took() -> None:
    network, job, _ = a_leased_network(expected_s=10)
    network.pass_s(30)
    again = network.job(job_of(network, job).project, expected_s=0)
    sizing = network.world.documents["contract", again].sizing
    assert (sizing.source, sizing.expected_s) == ("history", 10)


def test_a_job_that_waits_for_one_whole_node_is_told_that_the_pool_is_full() -> None:
    network = ANetwork()
    project = network.project("p")
    network.pool("lab", nodes=(a_node(), a_node(name="n2")), terms=some_terms(
        lent_cpus_milli=4000, lent_memory_bytes=16 * GIB,
    ))  # fmt: skip
    network.job(project, environment=SLOW, resources=Resources(cpus_milli=1500), task_count=2)
    wide = network.job(project, resources=Resources(cpus_milli=1000))
    network.pass_s(1)
    assert job_of(network, wide).state == JobState.QUEUED
    why = network.ask("why", project, {"job": wide}).document
    assert [refusal.code for _, refusal in why.refusals] == ["pool_full"]


def test_a_price_that_rose_is_a_new_version_and_what_was_sold_keeps_its_own() -> None:
    network, _, lease = a_leased_network(environment=SLOW)
    dearer = some_terms(price_micro_per_unit_h=9 * MICRO)
    network.rejoin(lease.pool, some_facts(name="lab", terms=dearer))
    old, new = network.world.offers.where(pool=lease.pool)
    assert (old.version, new.version, old.state, new.state) == (1, 2, 1, 0)
    assert network.world.leases.get(lease.id).price_micro_per_unit_h == MICRO
    network.rejoin(lease.pool, some_facts(name="lab", terms=dearer))
    assert len(network.world.offers.where(pool=lease.pool)) == 2


def test_a_name_is_taken_once_and_a_top_up_reaches_its_wallet_once() -> None:
    network = ANetwork()
    project = network.project("p", whole_credits=1)
    body = {"name": "p", "weight": 1, "trial_micro": 5}
    answer = network.ask("project", 0, body)
    assert answer.refusal is not None
    assert answer.refusal.code == "name_taken"
    network.ask("top_up", 0, {"project": project, "amount_micro": 7})
    assert sorted(network.world.balances.values()) == [-MICRO - 7, MICRO + 7]
    missing = network.ask("top_up", 0, {"project": 999, "amount_micro": 7})
    assert missing.refusal is not None
    assert to_plain(missing.refusal)["code"] == "project_unknown"


def test_a_job_that_was_quoted_as_free_never_runs_at_a_price() -> None:
    network = ANetwork()
    project = network.project("p")
    own = network.pool("own", terms=some_terms(price_micro_per_unit_h=0, lent_cpus_milli=1000))
    network.pool("dear")
    network.job(project, environment=SLOW)
    quote = network.ask("quote", project, quoting(a_request())).values["quote"]
    job = network.job(project, quote=quote)
    network.pass_s(1)
    assert [lease.pool for lease in network.world.leases.rows()] == [own]
    why = network.ask("why", project, {"job": job}).document
    assert sorted(refusal.code for _, refusal in why.refusals) == ["not_in_quote", "pool_full"]


def test_no_number_that_a_door_lets_in_stops_the_rounds() -> None:
    network = ANetwork()
    project = network.project("p", whole_credits=2_000, weight=1_000_000)
    network.pool("lab")
    network.pool("mad", terms=some_terms(price_micro_per_unit_h=2**53))
    network.job(project, expected_s=2**53, resources=Resources(cpus_milli=2000))
    month = 30 * 86_400
    network.job(project, expected_s=month, time_limit_s=month, task_count=10_000)
    network.pass_s(1)
    assert len(network.world.leases) == 1
