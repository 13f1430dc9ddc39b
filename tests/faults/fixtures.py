"""What tests that use the harness share: one slot for all tests of a file."""

from collections.abc import Iterator

import pytest

from tests.faults.seeds import Slot
from tests.support.databases import binaries


@pytest.fixture(scope="module")
def slot() -> Iterator[Slot]:
    """A nursery of processes and a PostgreSQL server of its own."""
    if binaries() is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    made = Slot(has_postgres=True)
    yield made
    made.close()
