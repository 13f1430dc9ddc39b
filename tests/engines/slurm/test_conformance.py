"""The Slurm engine keeps the protocol on two real clusters that know nothing of each other."""

from pathlib import Path

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.registry import EngineSettings
from tests.servers.slurm import SlurmCluster
from tests.servers.slurm_rest import RestCluster


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


class TestOverRest(EngineConformance):
    engine_name = "slurm"

    @pytest.fixture
    def engine_settings(self, slurm_rest: RestCluster, tmp_path: Path) -> EngineSettings:
        table = {"rest": slurm_rest.url, "token_file": str(slurm_rest.token_file), "poll_s": 0.5}
        return EngineSettings(tmp_path / "pool", table=table)
