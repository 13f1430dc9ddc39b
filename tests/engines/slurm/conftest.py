"""The clusters that all tests of this folder share."""

from tests.servers.slurm import slurm_alpha, slurm_beta
from tests.servers.slurm_rest import slurm_rest

__all__ = ["slurm_alpha", "slurm_beta", "slurm_rest"]
