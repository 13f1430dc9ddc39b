"""The auditor can fail: each of these mistakes, made in the code under test, is found by it.

A mistake counts as found when one of a few seeds complains; without it none of them does.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from intertie.control import decider
from intertie.cycle import leasing, parties, reconciling, settling
from intertie.metering import usage
from intertie.model.request import Request
from intertie.model.states import Cause
from intertie.store import tables
from tests.simulation import doors, troubles
from tests.simulation.running import run_seed
from tests.simulation.simulation import make_template

Patch = Callable[[pytest.MonkeyPatch], None]
SEEDS = range(100, 110)


@pytest.fixture(name="template", scope="module")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


def only_ask_for(patch: pytest.MonkeyPatch, **known: Any) -> None:
    """Let people ask for one kind of job, so that a mistake that is rarely met is met soon."""
    work = (("WORK_MS", "40000"),)
    wanted = Request(name="job", command=("true",), environment=work, **known)
    patch.setattr(troubles, "some_request", lambda *_: wanted)


def a_charge_is_off_by_one(patch: pytest.MonkeyPatch) -> None:
    right = usage.charge_micro
    patch.setattr(usage, "charge_micro", lambda ms, units, price: right(ms, units, price) + 1)


def the_longer_meter_is_paid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(usage, "paid_ms", lambda lease: max(lease.agent_ms, lease.network_ms))


def a_fee_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    right = usage._record
    patch.setattr(usage, "_record", lambda *given: replace(right(*given), fee_micro=0))


def a_release_is_skipped(patch: pytest.MonkeyPatch) -> None:
    right = settling.release
    patch.setattr(settling, "release", lambda *given: (right(*given)[0], None))


def a_usage_row_is_doubled(patch: pytest.MonkeyPatch) -> None:
    right = usage.meter

    def doubled(*given: Any) -> list[Any]:
        records = right(*given)
        if not records or not records[-1].is_final:
            return records
        last = records[-1]
        again = replace(last, id=last.id + 1, slice_index=last.slice_index + 1)
        return [*records[:-1], replace(last, is_final=0), again]

    patch.setattr(settling, "meter", doubled)


def a_hold_is_too_small(patch: pytest.MonkeyPatch) -> None:
    right = leasing.hold_micro
    patch.setattr(leasing, "hold_micro", lambda *given: right(*given) - 1)


def credit_is_booked_twice(patch: pytest.MonkeyPatch) -> None:
    right = parties._top_up

    def twice(world: Any, changes: Any, row: Any, now: int) -> None:
        right(world, changes, row, now)
        for booked in changes.transactions[:1]:
            again = replace(booked, id=booked.id + 1, reference=booked.reference + 10**9)
            changes.transactions.append(again)

    patch.setattr(parties, "_top_up", twice)


def a_lease_is_given_up_too_early(patch: pytest.MonkeyPatch) -> None:
    right = reconciling.is_gone

    def too_early(lease: Any, pool: Any, _may_move: bool, *more: Any) -> bool:
        return right(lease, pool, True, *more)

    patch.setattr(reconciling, "is_gone", too_early)


def a_gang_runs_on_without_a_member(patch: pytest.MonkeyPatch) -> None:
    right = reconciling.stop_one

    def spared(world: Any, changes: Any, lease: Any, cause: Cause, now: int) -> None:
        if cause != Cause.SUPERSEDED:
            right(world, changes, lease, cause, now)

    patch.setattr(reconciling, "stop_one", spared)
    only_ask_for(patch, task_count=2, is_gang=1, time_limit_s=60)
    for other in ("_store_fault_at_decider", "_store_fault_at_doors", "_cut"):
        patch.setattr(troubles.Troubles, other, troubles.Troubles._power_loss)


def a_fenced_leader_commits(patch: pytest.MonkeyPatch) -> None:
    right = decider.commit_round

    def unguarded(connection: Connection, number: int, *more: Any) -> None:
        last = connection.execute(select(func.max(tables.round_.c.number))).scalar() or 0
        right(connection, max(number, last + 1), *more)

    patch.setattr(decider, "check", lambda *_: None)
    patch.setattr(decider, "commit_round", unguarded)


def an_acknowledged_row_was_never_committed(patch: pytest.MonkeyPatch) -> None:
    right = doors.append

    def forgetful(engine: Any, kind: str, actor: int, at: int, body: Any, key: Any = None) -> int:
        if kind == "top_up" and body["amount_micro"] == 7_919:
            return 10**6
        return right(engine, kind, actor, at, body, key)

    patch.setattr(doors, "append", forgetful)


MISTAKES: tuple[Patch, ...] = (
    a_charge_is_off_by_one,
    the_longer_meter_is_paid,
    a_fee_is_forgotten,
    a_release_is_skipped,
    a_usage_row_is_doubled,
    a_hold_is_too_small,
    credit_is_booked_twice,
    a_lease_is_given_up_too_early,
    a_gang_runs_on_without_a_member,
    a_fenced_leader_commits,
    an_acknowledged_row_was_never_committed,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_the_auditor_finds_a_mistake(
    mistake: Patch, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    reports = (run_seed(seed, tmp_path, template, troubled_s=45) for seed in SEEDS)
    found = next((report.complaints for report in reports if report.complaints), [])
    assert found, "no seed complained"
    assert not any("Traceback" in each for each in found), found
