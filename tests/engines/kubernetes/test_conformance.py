"""The conformance class on a real control plane with a real kubelet, with the agent's own token."""

from pathlib import Path

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.registry import EngineSettings
from tests.engines.kubernetes.clusters import settings_of
from tests.servers.kubernetes import KubernetesCluster


class TestKubernetes(EngineConformance):
    engine_name = "kubernetes"

    @pytest.fixture
    def engine_settings(
        self, kubernetes_cluster: KubernetesCluster, tmp_path: Path
    ) -> EngineSettings:
        return settings_of(kubernetes_cluster, tmp_path.name)
