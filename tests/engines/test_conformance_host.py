"""The host engine keeps the protocol, in the sandbox and without one."""

from pathlib import Path

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.registry import EngineSettings


class TestSandboxed(EngineConformance):
    engine_name = "host"


class TestDirect(EngineConformance):
    engine_name = "host"
    BIG_RESULT_BYTES = 1_000_000_000

    @pytest.fixture
    def engine_settings(self, tmp_path: Path) -> EngineSettings:
        return EngineSettings(tmp_path / "pool", is_sandboxed=False, is_limited=False)
