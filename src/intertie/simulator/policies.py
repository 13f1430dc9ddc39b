"""Every policy that `intertie simulate` knows, ours beside those of papers, in one vocabulary.

None is a second scheduler: each names rules of `placement/`, and what is here runs them.
"""

from typing import Any

from intertie.simulator import elastic, preemptive, queueing, sharing, turns
from intertie.simulator.running import SimulatedPolicy

ALL: tuple[SimulatedPolicy, ...] = (
    *queueing.POLICIES,
    *preemptive.POLICIES,
    *elastic.POLICIES,
    *turns.POLICIES,
    *sharing.POLICIES,
)


def policies_for(trace: Any) -> dict[str, SimulatedPolicy]:
    """Return the policies that can run a trace of this kind, by name."""
    return {policy.name: policy for policy in ALL if isinstance(trace, policy.reads)}
