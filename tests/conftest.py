"""What every test stands on: two hypothesis profiles, databases, and nothing ambient."""

import os

import pytest
from hypothesis import HealthCheck, settings

from intertie.control.kernels import prepare_kernels, warm_kernels
from tests.support.databases import database_url, databases, module_database_url, postgres

# Fixtures of every folder.
__all__ = ["database_url", "databases", "module_database_url", "postgres"]

# Two cores are shared with end-to-end tests, so an example may be slow without being wrong. The
# same examples each time, so that a red test is the fault of the change under it; `thorough`
# looks further.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
)
settings.register_profile(
    "thorough", parent=settings.get_profile("default"), derandomize=False, max_examples=2_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels once, before there are workers: no network waits for it in a test."""
    if not hasattr(config, "workerinput"):
        prepare_kernels()
        warm_kernels()
