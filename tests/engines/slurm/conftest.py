"""The clusters that all tests of this folder share."""

from tests.servers.slurm import slurm_alpha, slurm_beta

__all__ = ["slurm_alpha", "slurm_beta"]
