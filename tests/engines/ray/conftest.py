"""The Ray head that the tests of this folder share."""

from tests.servers.ray import ray_cluster

__all__ = ["ray_cluster"]
