"""`intertie simulate`: replay a trace under one policy or two, and compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from intertie.cli.session import Session

PolicyName = Annotated[str, typer.Option("--policy", help="cli.option.policy", metavar="NAME")]


def simulate(
    session: Session,
    trace: Annotated[Path, typer.Argument(help="cli.option.trace", metavar="TRACE")],
    policy: PolicyName = "easy",
    vs: Annotated[
        str | None, typer.Option("--vs", help="cli.option.vs_policy", metavar="NAME")
    ] = None,
    capacity: Annotated[
        int | None, typer.Option("--capacity", help="cli.option.capacity", min=1, metavar="UNITS")
    ] = None,
    true_lengths: Annotated[
        bool, typer.Option("--true-lengths", help="cli.option.true_lengths")
    ] = False,
    by_instant: Annotated[bool, typer.Option("--by-instant", help="cli.option.by_instant")] = False,
) -> None:
    """Replay a trace on a virtual clock through the place step's own kernel."""
    from intertie.client import BadInput
    from intertie.client.errors import problem_of
    from intertie.placement.given import BACKFILLS
    from intertie.simulator.replay import ReplayPolicy, replay
    from intertie.simulator.scoreboard import score
    from intertie.simulator.traces.reading import read_trace
    from intertie.simulator.traces.trace import BadTrace

    names = [policy, *([vs] if vs else [])]
    for name in names:
        if name not in BACKFILLS:
            told = f"{name!r} is none of {', '.join(BACKFILLS)}"
            raise typer.BadParameter(told, param_hint="--policy" if name == policy else "--vs")
    try:
        read = read_trace(trace)
        units = capacity or read.capacity
        if not units:
            raise BadTrace(f"{trace.name} does not say how large its machine was: add --capacity")
        found = {}
        for name in names:
            with session.waiting("cli.simulate.running"):
                how = ReplayPolicy(name, true_lengths, not by_instant)
                found[name] = score(read, replay(read, units, how), units)
    except (BadTrace, OSError) as error:
        title = session.text("cli.simulate.bad_trace")
        raise BadInput(problem_of("bad_trace", title, str(error), status=422)) from error
    if session.as_json:
        told_all = {name: each.as_dict() for name, each in found.items()}
        print(json.dumps({"trace": trace.name, "capacity": units, "scores": told_all}, indent=2))
        return
    from intertie.cli.render.scores import scores_table

    session.out.print(scores_table(found, trace.name, units, session.lang))
