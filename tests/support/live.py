"""A live network in tests: what the end-to-end tests speak to, and how they wait."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie

PATIENCE_S = 60.0


@dataclass
class River:
    """A network with a project that may submit and one that may not see it."""

    network: EmbeddedNetwork
    client: Intertie
    stranger: Intertie
    operator: Intertie

    def restart_agent(self) -> None:
        """Kill the agent without a word and start it again."""
        agent = self.network.agents["workstation"]
        agent.kill()
        self.network.start_agent("workstation")


def wait_until(
    is_so: Callable[[], object], network: EmbeddedNetwork, patience_s: float = PATIENCE_S
) -> None:
    """Return when a condition holds; fail with the logs when it does not in time."""
    ends = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > ends:
            logs = "\n".join(f"--- {p.name}\n{p.tail()}" for p in network.processes())
            raise AssertionError(f"it did not come to pass in {patience_s} s\n{logs}")
        time.sleep(0.05)
