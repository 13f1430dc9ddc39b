"""What agents say, believed: late, repeated, contradictory, or of an older session."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.model.ids import encode
from intertie.model.lease import Lease
from intertie.model.states import Cause, JobState, LeaseState, Outcome
from intertie.model.units import GIB
from intertie.wire.digest import digest_text, lease_mark, observation_digest
from intertie.world.changes import Changes
from tests.builders import (
    SLOW,
    ANetwork,
    a_leased_network,
    job_of,
    some_facts,
)


def a_sync(network: ANetwork, lease: Lease, sequence: int = 99, **said: Any) -> dict[str, Any]:
    """A sync of the lease's agent, which also says something of the lease."""
    pool = network.world.pools.get(lease.pool)
    each = {"lease": encode("lease", lease.id), "token": lease.token, "ran_ms": 500} | said
    return {
        "epoch": pool.epoch,
        "sequence": sequence,
        "digest": "",
        "leases": [each] if said else [],
        "declines": [],
        "owner": {
            "lent_cpus_milli": 2000,
            "lent_memory_bytes": 8 * GIB,
            "is_draining": False,
        },
    }


def decide_once(network: ANetwork, lease: Lease, body: dict[str, Any]) -> Changes:
    row = InboxRow(9_999, "sync", lease.pool, network.now, body)
    return flow(network.world, [row], network.policy, network.now)


def test_the_older_of_two_agents_of_one_pool_is_fenced_out() -> None:
    network, job, lease = a_leased_network(environment=SLOW)
    body = a_sync(network, lease, sequence=99, state="ended", cause="exited", exit_code=0)
    network.rejoin(lease.pool, some_facts(name="lab"))
    answer = network.ask("sync", lease.pool, body)
    assert answer.refusal is not None
    assert answer.refusal.code == "fenced_out"
    assert job_of(network, job).state == JobState.RUNNING


def test_a_sync_that_was_sent_before_changes_nothing_when_it_arrives_again() -> None:
    network, _, lease = a_leased_network(environment=SLOW)
    body = a_sync(network, lease, 1, state="ended", cause="exited", exit_code=0)
    decide_once(network, lease, body)
    assert network.world.leases.get(lease.id).state == LeaseState.RUNNING


@pytest.mark.parametrize(
    "digest_of",
    [
        lambda lease: digest_text(lease_mark(lease.id, lease.token)),
        lambda lease: observation_digest([(encode("lease", lease.id), lease.token)]),
    ],
)
def test_an_agent_that_sees_other_leases_is_asked_for_all_whichever_protocol_it_speaks(
    digest_of: Callable[[Lease], str],
) -> None:
    network, _, lease = a_leased_network(environment=SLOW)
    same, other = digest_of(lease), digest_of(replace(lease, token=7))
    for sequence, digest, wants_full in ((50, same, 0), (51, other, 1), (52, same, 0)):
        decide_once(network, lease, a_sync(network, lease, sequence) | {"digest": digest})
        assert network.world.pools.get(lease.pool).wants_full == wants_full


def test_a_stop_and_a_renewal_change_what_a_pool_wants_and_an_end_takes_it_away() -> None:
    network, job, lease = a_leased_network(environment=SLOW, time_limit_s=900)
    wanted = {network.world.pools.get(lease.pool).wanted_digest}
    assert wanted == {lease_mark(lease.id, lease.token, lease.until)}
    network.pass_s(200)
    renewed = network.world.leases.get(lease.id)
    assert renewed.until > lease.until
    wanted.add(network.world.pools.get(lease.pool).wanted_digest)
    network.agents[lease.pool].is_silent = True
    network.cancel(renewed.project, job)
    wanted.add(network.world.pools.get(lease.pool).wanted_digest)
    assert lease_mark(lease.id, lease.token, -Cause.CANCELLED) in wanted
    assert len(wanted) == 3
    network.agents[lease.pool].is_silent = False
    network.pass_s(10)
    assert network.world.pools.get(lease.pool).wanted_digest == 0


def test_two_sights_of_one_lease_in_one_sync_are_folded_in_their_order() -> None:
    network, _, lease = a_leased_network(environment=SLOW)
    body = a_sync(network, lease, state="ended", cause="signalled", signal=9)
    body["leases"].append(body["leases"][0] | {"state": "running", "cause": "none"})
    body["declines"] = [{"lease": encode("lease", lease.id), "token": lease.token}]
    ended = decide_once(network, lease, body).rows["Lease", lease.id]
    assert (ended.state, ended.cause) == (LeaseState.SETTLED, Cause.SIGNALLED)
    assert network.world.tasks.get(lease.task).outcome == Outcome.FAILED


def test_a_decline_after_a_paid_slice_takes_nothing_back_and_breaks_nothing() -> None:
    network, _, lease = a_leased_network(environment=SLOW, time_limit_s=900)
    network.pass_s(70)
    charged = network.world.leases.get(lease.id).charged_micro
    assert charged > 0
    body = a_sync(network, lease) | {
        "declines": [{"lease": encode("lease", lease.id), "token": lease.token}]
    }
    declined = decide_once(network, lease, body).rows["Lease", lease.id]
    assert (declined.state, declined.charged_micro) == (LeaseState.SETTLED, charged)


def test_an_older_token_or_another_pool_is_not_believed() -> None:
    network, _, lease = a_leased_network(environment=SLOW)
    other = network.pool("other")
    end = {"state": "ended", "cause": "exited", "exit_code": 0}
    stale = replace(lease, token=lease.token + 1)
    decide_once(network, lease, a_sync(network, stale, **end))
    decide_once(network, replace(lease, pool=other), a_sync(network, lease, **end))
    assert network.world.leases.get(lease.id).state == LeaseState.RUNNING


def test_a_checkpoint_saved_while_it_runs_outlives_the_machine() -> None:
    network, _, lease = a_leased_network(environment=SLOW)
    saved = {"path": "c.npz", "sha256": "a" * 64, "size_bytes": 3, "kind": "checkpoint"}
    early = {"path": "r.json", "sha256": "b" * 64, "size_bytes": 2, "kind": "result"}
    body = a_sync(network, lease, state="running", ran_ms=2_000, files=[saved, early])
    decide_once(network, lease, body)
    assert network.world.documents["result", lease.task].files[0].path == "r.json"
    ended = a_sync(network, lease, 100, state="ended", cause="lost", ran_ms=2_500)
    decide_once(network, lease, ended)
    assert network.world.documents["checkpoint", lease.task].files[0].path == "c.npz"
    assert network.world.documents["result", lease.task].files == ()
