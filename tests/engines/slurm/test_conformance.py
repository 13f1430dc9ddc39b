"""The Slurm engine keeps the protocol on two real clusters that know nothing of each other."""

from pathlib import Path

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.registry import EngineSettings
from tests.servers.slurm import SlurmCluster


class TestAlpha(EngineConformance):
    engine_name = "slurm"
    BIG_RESULT_BYTES = 1_000_000_000

    @pytest.fixture
    def engine_settings(self, slurm_alpha: SlurmCluster, tmp_path: Path) -> EngineSettings:
        table = {"conf": str(slurm_alpha.conf), "partitions": ["main"], "poll_s": 0.5}
        return EngineSettings(tmp_path / "pool", table=table)


class TestBeta(EngineConformance):
    engine_name = "slurm"

    @pytest.fixture
    def engine_settings(self, slurm_beta: SlurmCluster, tmp_path: Path) -> EngineSettings:
        table = {"conf": str(slurm_beta.conf), "poll_s": 0.5}
        return EngineSettings(tmp_path / "pool", table=table)
