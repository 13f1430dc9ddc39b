"""What never happens, in random lives of a network with everything that can go wrong."""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from intertie.model.policy import Policy
from intertie.model.states import JobState, Outcome
from intertie.model.units import MICRO
from tests.builders import ANetwork, some_terms
from tests.property.laws import never_twice_at_once, proof_faults
from tests.property.scripts import Act, Life, lives

# A life is short enough to read as it is, and long to shrink.
AS_FOUND = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(phases=AS_FOUND, max_examples=settings.default.max_examples * 2 // 5)
@given(lives)
def test_no_law_is_broken_in_any_life_of_a_network(script: list[Act]) -> None:
    Life().live(script)


@settings(phases=AS_FOUND, max_examples=settings.default.max_examples // 2)
@given(
    on_partition=st.sampled_from(("keep", "move")),
    lease_s=st.integers(15, 120),
    silent_after_s=st.integers(1, 60),
    silent_s=st.integers(5, 200),
    work_s=st.integers(20, 200),
)
def test_no_attempt_begins_while_an_earlier_one_may_run_however_long_its_agent_is_silent(
    on_partition: str, lease_s: int, silent_after_s: int, silent_s: int, work_s: int
) -> None:
    network = ANetwork(Policy(lease_s=lease_s, failures_max=20))
    project = network.project("p")
    pools = [
        network.pool("cheap", terms=some_terms(price_micro_per_unit_h=100_000)),
        network.pool("dear"),
    ]
    job = network.job(
        project,
        expected_s=work_s,
        time_limit_s=work_s + 5,
        on_partition=on_partition,
        budget_micro=MICRO,
    )
    network.pass_s(silent_after_s)
    network.agents[pools[0]].is_silent = True
    network.pass_s(silent_s)
    network.agents[pools[0]].is_silent = False
    network.pass_s(700)
    runs = [run for agent in network.agents.values() for run in agent.gone]
    never_twice_at_once(runs)
    ended = network.world.jobs.get(job)
    assert (ended.state, ended.outcome) == (JobState.SETTLED, Outcome.DONE)
    assert proof_faults(network) == ()
