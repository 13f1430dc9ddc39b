"""One real cluster for all tests of this folder that a process runs."""

from tests.servers.kubernetes import kubernetes_cluster

__all__ = ["kubernetes_cluster"]
