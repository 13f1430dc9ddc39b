"""The real agent program on the fake engine: `python -m benchmarks.load.real_agent FILE`.

Everything but the engine is what an owner runs: journal with fsync, threads, long poll, uploads.
"""

import signal
import sys
from pathlib import Path

from intertie.agent import joining
from intertie.agent.log import start_logging
from intertie.agent.main import Agent
from intertie.agent.settings import AgentSettings, read_settings
from intertie.engines.fake.engine import FakeEngine, FakeSettings
from intertie.model.parties import NodeFacts

DISK_BYTES = 1 << 50


class FakeAgent(Agent):
    """An agent whose pool pretends to be as large as its settings say."""

    def __init__(self, settings: AgentSettings) -> None:
        super().__init__(settings)
        self.engine.close()
        node = NodeFacts("fake", settings.cpus_milli, settings.memory_bytes, DISK_BYTES)
        self.engine = FakeEngine(FakeSettings(settings.folder / "fake", (node,)))
        self.facts = self.engine.facts()
        self.terms = joining.lent_terms(settings, self.facts)


def main(path: Path) -> int:
    """Run until told to stop."""
    settings = read_settings(path)
    start_logging(settings.pool)
    agent = FakeAgent(settings)
    signal.signal(signal.SIGTERM, lambda *_: agent.stop())
    try:
        return agent.run()
    finally:
        agent.close()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
