"""A short set of seeds on both databases: `make faults SEEDS=300` is the long one."""

from pathlib import Path

import pytest

from tests.faults.plan import DATABASES, KINDS, make_plan
from tests.faults.seeds import Runner, Verdict
from tests.support.databases import binaries

# Between them they kill, pause and double, restart the database, cut links and fill a disk.
SHORT = range(1, 7)


@pytest.mark.timeout(900)
def test_a_few_seeds_are_clean_on_both_databases(tmp_path: Path) -> None:
    has_postgres = binaries() is not None
    runner = Runner(tmp_path, lambda seed: (DATABASES[seed % 2 if has_postgres else 0],))
    verdicts = runner.run(SHORT, jobs=2, tell=lambda _: None)
    assert [v for v in verdicts if not v.is_clean] == []
    total = sum(sum(v.counts.get(kind, 0) for kind in ("jobs", "leases")) for v in verdicts)
    assert total > len(SHORT)


def test_a_seed_that_was_clean_is_not_run_again(tmp_path: Path) -> None:
    known = [Verdict(seed, "sqlite", counts={"jobs": seed}) for seed in (1, 2)]
    runner = Runner(tmp_path, lambda _: ("sqlite",))
    for verdict in known:
        runner.remember(verdict)
    assert runner.run(range(1, 3), jobs=1, tell=pytest.fail) == known


def test_a_seed_always_has_the_same_plan_and_other_seeds_have_others() -> None:
    plans = [make_plan(seed, "postgresql") for seed in range(300)]
    assert plans == [make_plan(seed, "postgresql") for seed in range(300)]
    assert len({plan.faults for plan in plans}) > len(plans) * 0.99
    assert {fault.kind for plan in plans for fault in plan.faults} == set(KINDS)
