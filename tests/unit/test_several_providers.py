"""One job over several providers, by price, by speed, in stages; and who is blocked or cut off."""

from collections import Counter

import pytest

from intertie.model.job import Job
from intertie.model.parties import Score
from intertie.model.states import Cause, LeaseState, Outcome
from intertie.model.units import GIB, MICRO
from intertie.simulator.recording import replay
from tests.builders import ANetwork, a_node, job_of, leases_of, some_terms

MINUTE = (("WORK_MS", "60000"),)
# Name: engine, cores, speed in millionths, price of a core and hour in micro-credits.
SITES = {
    "alpha": ("slurm", 16, MICRO, 400_000),
    "beta": ("slurm", 8, MICRO // 2, 100_000),
    "ray": ("ray", 8, 2 * MICRO, MICRO),
    "kube": ("kubernetes", 8, MICRO, 600_000),
    "desk": ("host", 4, MICRO, 300_000),
}


def a_wide_network() -> tuple[ANetwork, int, dict[int, str]]:
    """A project, and five pools of four engines, unlike in size, speed and price."""
    network = ANetwork()
    project = network.project("p", whole_credits=100)
    pools = {
        network.pool(
            name,
            engine=engine,
            nodes=(a_node(cpus_milli=cores * 1000, memory_bytes=cores * GIB),),
            scores=(Score("cpu@1", speed, "measured"),),
            terms=some_terms(
                price_micro_per_unit_h=price,
                lent_cpus_milli=cores * 1000,
                lent_memory_bytes=cores * GIB,
            ),
        ): name
        for name, (engine, cores, speed, price) in SITES.items()
    }
    return network, project, pools


def first_wave(network: ANetwork, job: int, pools: dict[int, str]) -> dict[str, int]:
    return dict(Counter(pools[lease.pool] for lease in network.world.leases.where(job=job)))


def to_the_end(network: ANetwork, job: int) -> Job:
    for _ in range(1_000):
        if job_of(network, job).ended_at:
            network.pass_s(1)
            return job_of(network, job)
        network.pass_s(5)
    raise AssertionError("the job never ended")


@pytest.mark.parametrize("prefer", ["soonest", "cheapest"])
def test_an_array_of_a_hundred_tasks_runs_on_five_providers_under_one_receipt(prefer: str) -> None:
    network, project, pools = a_wide_network()
    job = network.job(
        project, task_count=100, prefer=prefer, environment=MINUTE, expected_s=60, time_limit_s=300
    )
    assert first_wave(network, job, pools) == {n: cores for n, (_, cores, _, _) in SITES.items()}
    ended = to_the_end(network, job)
    assert ended.outcome == Outcome.DONE
    done = Counter(pools[lease.pool] for lease in leases_of(network))
    assert sum(done.values()) == 100
    # Cores times speed, 16 + 4 + 16 + 8 + 4: a pool does as much as it can, and no pool stands by.
    assert done["ray"] > done["kube"] > done["desk"] > 0
    charged = sum(u.amount_micro for changes in network.changes for u in changes.usage)
    assert ended.spent_micro == charged
    assert {u.job for changes in network.changes for u in changes.usage} == {job}
    # 48 reference cores do 100 minutes of work in 2.1 minutes; the last wave rounds it up.
    assert ended.ended_at - ended.submitted_at <= 245_000


def test_few_tasks_go_where_they_are_cheapest_or_where_they_are_done_first() -> None:
    wanted = {"cheapest": ("beta", 8), "soonest": ("ray", 8)}
    for prefer, (name, count) in wanted.items():
        network, project, pools = a_wide_network()
        job = network.job(
            project, task_count=count, prefer=prefer, environment=MINUTE, expected_s=60,
            time_limit_s=300,
        )  # fmt: skip
        assert first_wave(network, job, pools) == {name: count}


def test_three_stages_over_two_providers_end_within_a_tenth_of_their_critical_path() -> None:
    network = ANetwork()
    project = network.project("p", whole_credits=100)
    network.pool("near")
    network.pool("far", terms=some_terms(price_micro_per_unit_h=2 * MICRO))

    def stage(work_s: int, after: tuple[int, ...] = (), task_count: int = 1) -> int:
        work = (("WORK_MS", str(work_s * 1000)),)
        return network.job(
            project, after=after, task_count=task_count, environment=work, expected_s=work_s,
            time_limit_s=600,
        )  # fmt: skip

    first = stage(40)
    wide = [stage(60, (first,), task_count=2), stage(50, (first,), task_count=2)]
    last = stage(30, tuple(wide))
    begun_at = network.now
    ended = to_the_end(network, last)
    assert ended.outcome == Outcome.DONE
    used = {lease.pool for lease in leases_of(network)}
    assert len(used) == 2
    critical_ms = (40 + 60 + 30) * 1000
    assert critical_ms <= ended.ended_at - begun_at <= critical_ms * 1.1


def test_a_blocked_account_stops_at_every_engine_within_a_minute_even_if_an_agent_restarts() -> (
    None
):
    network, project, pools = a_wide_network()
    guest = network.project("guest")
    long = (("WORK_MS", "3000000"),)
    theirs = network.job(project, task_count=20, environment=long, time_limit_s=4_000)
    network.pass_s(5)
    ours = network.job(guest, task_count=20, environment=long, time_limit_s=4_000)
    network.pass_s(5)
    assert len(first_wave(network, theirs, pools)) > 1
    network.ask("block", 0, {"project": project, "is_blocked": True})
    blocked_at = network.now
    for pool in pools:
        facts = network.world.documents["pool", pool]
        network.rejoin(pool, facts)
    network.pass_s(60)
    by_job = {job: [x for x in leases_of(network) if x.job == job] for job in (theirs, ours)}
    assert {lease.stop_cause for lease in by_job[theirs]} == {Cause.NO_FUNDS}
    assert all(0 < lease.seen_ended_at <= blocked_at + 60_000 for lease in by_job[theirs])
    assert {lease.state for lease in by_job[ours]} == {LeaseState.RUNNING}
    network.pass_s(60)
    assert not network.world.leases.where(job=theirs), "nothing of it is placed again"


def test_usage_that_is_said_again_moves_no_money() -> None:
    network, project, _ = a_wide_network()
    job = network.job(project, task_count=10, environment=MINUTE, expected_s=60, time_limit_s=300)
    to_the_end(network, job)
    before = dict(network.world.balances)
    said = [r for each in network.recording.rounds for r in each.inbox if r.kind == "sync"]
    assert len(said) > 20
    for row in said:
        network.post("sync", row.actor, row.body)
        # Nor under a number that was never used, as another process with the same journal might.
        network.post("sync", row.actor, row.body | {"sequence": 10**6 + row.id})
    network.decide()
    assert network.world.balances == before
    assert job_of(network, job).spent_micro == sum(
        u.amount_micro for changes in network.changes for u in changes.usage
    )
    assert replay(network.recording).differing == ()


def test_a_provider_that_is_cut_off_loses_what_may_move_and_nothing_is_paid_twice() -> None:
    network, project, pools = a_wide_network()
    job = network.job(
        project, task_count=44, environment=MINUTE, expected_s=60, time_limit_s=300,
        on_partition="move",
    )  # fmt: skip
    network.pass_s(10)
    alpha = next(number for number, name in pools.items() if name == "alpha")
    network.agents[alpha].is_silent = True
    ended = to_the_end(network, job)
    assert ended.outcome == Outcome.DONE
    lost = [lease for lease in leases_of(network) if lease.cause == Cause.LOST]
    assert {pools[lease.pool] for lease in lost} == {"alpha"}
    results = Counter(lease.task for lease in leases_of(network) if lease.is_result)
    assert set(results.values()) == {1}
    assert len(results) == 44
    moved = [lease for lease in leases_of(network) if lease.token > 1]
    assert moved
    assert all(lease.pool != alpha for lease in moved)
