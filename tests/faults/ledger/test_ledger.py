"""Thousands of ledger operations by processes that die at any statement; the books stay right."""

from pathlib import Path

import pytest

from tests.faults.ledger.plan import Plan
from tests.faults.ledger.running import run_ledger
from tests.support.databases import Databases


@pytest.mark.timeout(300)
def test_the_books_stay_right_whatever_process_dies_at_whatever_statement(
    databases: Databases, tmp_path: Path
) -> None:
    plan = Plan(
        databases.make(), tmp_path, 1, 3_000, decider_most=120, teller_most=60, array_most=150
    )
    outcome = run_ledger(plan)
    assert outcome.faults == []
    assert outcome.operations >= plan.operations
    assert outcome.crashes.total() >= 5
    assert outcome.acknowledged > 0
