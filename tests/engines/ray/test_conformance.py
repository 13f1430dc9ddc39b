"""The Ray engine keeps the protocol on a real head."""

from pathlib import Path

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.registry import EngineSettings
from tests.servers.ray import RayCluster


@pytest.mark.timeout(300)
class TestRay(EngineConformance):
    engine_name = "ray"
    STARTS_TOGETHER = 4

    @pytest.fixture
    def engine_settings(self, tmp_path: Path, ray_cluster: RayCluster) -> EngineSettings:
        table = {
            "url": ray_cluster.url,
            "token_file": str(ray_cluster.token_file),
            "resources": {"a100": "nv_a100", "rtx3090": "GPU"},
        }
        return EngineSettings(tmp_path / "pool", table=table)
