"""What-ifs: the worker that lives through them beside a door, and the command that asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli.session import Session

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from intertie.simulator.past import Past
    from intertie.simulator.running import Outcome
    from intertie.store.whatifs import WhatIf

NOTE_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
DAY_S = 24 * 3600


def work(engine: Engine) -> None:
    """Live through every what-if that waits, the oldest first, then return."""
    from intertie.control.clock import now_ms
    from intertie.store import whatifs

    while (asked := whatifs.take(engine, now_ms())) is not None:
        try:
            told = {"state": whatifs.DONE, "result": _found(engine, asked)}
        except Exception as error:  # noqa: BLE001 # told to who asked; the next one is another's
            told = {"state": whatifs.FAILED, "error": f"{type(error).__name__}: {error}"}
        whatifs.note(engine, asked.id, now_ms(), **told)


def _found(engine: Engine, asked: WhatIf) -> dict[str, Any]:
    """Return the result of one what-if: both policies on the same jobs, and what happened."""
    from intertie.control.policies import policy_with
    from intertie.simulator.whatif import as_it_was, what_if
    from intertie.store import reading
    from intertie.store.loading import load_policy
    from intertie.store.past import read_past

    with reading.snapshot(engine) as connection:
        policy = load_policy(connection)
        past = past_of(read_past(connection, asked.since, asked.until), asked.since, asked.until)
        names = reading.names(connection, "project")
    noting = _Noting(engine, asked.id, 2 * len(past.jobs))
    other = policy_with(policy, asked.policy)
    ways = {
        "was": as_it_was(past),
        "as_is": what_if(past, policy, lambda done, _: noting.say(done)),
        "what_if": what_if(past, other, lambda done, _: noting.say(len(past.jobs) + done)),
    }
    noting.say(noting.total, is_last=True)
    return {
        "measures": {way: outcome.measures for way, outcome in ways.items()},
        "projects": {way: _waits(outcome, names) for way, outcome in ways.items()},
        "left_out": past.left_out,
    }


def past_of(told: dict[str, Any], since: int, until: int) -> Past:
    """Return the simulator's nouns of what the store read."""
    from intertie.simulator.past import Past, PastJob, PastPool, PastShare

    return Past(
        since=min([since, *(job["submitted_at"] for job in told["jobs"])]),
        until=until,
        weights=told["weights"],
        pools=tuple(PastPool(**pool) for pool in told["pools"]),
        jobs=tuple(PastJob(**job) for job in told["jobs"]),
        left_out=told["left_out"],
        shares=tuple(PastShare(**share) for share in told["shares"]),
    )


def _waits(outcome: Outcome, names: dict[int, str]) -> dict[str, float]:
    """Return the 90 % wait of each project in seconds."""
    import numpy as np

    wait, project = outcome.jobs["start_ms"] - outcome.jobs["submit_ms"], outcome.jobs["project"]
    return {
        names[int(number)]: float(np.percentile(wait[project == number], 90)) / 1000
        for number in np.unique(project)
    }


class _Noting:
    """Writes progress down, at most once a second."""

    def __init__(self, engine: Engine, number: int, total: int) -> None:
        self.engine, self.number, self.total = engine, number, total
        self._next = 0.0

    def say(self, done: int, is_last: bool = False) -> None:
        from intertie.control.clock import now_ms
        from intertie.store import whatifs

        if is_last or time.monotonic() >= self._next:
            whatifs.note(self.engine, self.number, now_ms(), done=done, total=self.total)
            self._next = time.monotonic() + NOTE_EVERY_S


def what_if(
    session: Session,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="cli.option.what_if", metavar="FIELD=VALUE")
    ] = None,
    days: Annotated[
        float, typer.Option("--days", help="cli.option.what_if_days", min=0.001, metavar="DAYS")
    ] = 30.0,
) -> int:
    """Live through the network's own past under another policy, and show the difference."""
    from intertie.cli.exits import DONE, JOB_FAILED
    from intertie.cli.render.whatifs import what_if_table

    policy = dict(_setting(each) for each in settings or [])
    asked = session.network.ask_what_if(policy, max(1, int(days * DAY_S)))
    with session.progress("cli.what_if.running", is_bytes=False) as report:
        while asked.state in ("waiting", "running"):
            time.sleep(LOOK_EVERY_S)
            asked = session.network.what_if(asked.id)
            report(asked.done, asked.total)
    session.show(asked, lambda: what_if_table(asked, session.lang))
    return DONE if asked.state == "done" else JOB_FAILED


def _setting(told: str) -> tuple[str, int | str]:
    name, equals, value = told.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{told!r}: write FIELD=VALUE", param_hint="--set")
    return name, int(value) if value.lstrip("-").isdigit() else value
