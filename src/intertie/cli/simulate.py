"""`intertie simulate`: replay traces under one policy or more, and compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli.session import Session

if TYPE_CHECKING:
    from intertie.simulator.running import Outcome, Setting, SimulatedPolicy

PolicyName = Annotated[str, typer.Option("--policy", help="cli.option.policy", metavar="NAME")]
Others = Annotated[
    list[str] | None, typer.Option("--vs", help="cli.option.vs_policy", metavar="NAME")
]


def simulate(
    session: Session,
    traces: Annotated[list[Path], typer.Argument(help="cli.option.trace", metavar="TRACE")],
    policy: PolicyName = "easy",
    vs: Others = None,
    capacity: Annotated[
        int | None, typer.Option("--capacity", help="cli.option.capacity", min=1, metavar="UNITS")
    ] = None,
    lengths: Annotated[
        str, typer.Option("--lengths", help="cli.option.lengths", metavar="KIND")
    ] = "stated",
    order: Annotated[str, typer.Option("--order", help="cli.option.order", metavar="NAME")] = "",
    providers: Annotated[
        Path | None, typer.Option("--providers", help="cli.option.providers_file", metavar="FILE")
    ] = None,
    by_instant: Annotated[bool, typer.Option("--by-instant", help="cli.option.by_instant")] = False,
    seed: Annotated[int, typer.Option("--seed", help="cli.option.seed")] = 0,
) -> None:
    """Replay traces on a virtual clock through the place step's own kernels."""
    from intertie.client import BadInput
    from intertie.client.errors import problem_of
    from intertie.placement.ordering import ORDERS
    from intertie.simulator.joining import read_federated
    from intertie.simulator.running import LENGTHS, Setting
    from intertie.simulator.traces.reading import read_trace
    from intertie.simulator.traces.trace import BadTrace

    _one_of(lengths, LENGTHS, "--lengths")
    _one_of(order, ("", *ORDERS), "--order")
    setting = Setting(capacity or 0, lengths, not by_instant, seed, order=order)
    found: dict[str, dict[str, Outcome]] = {}
    try:
        for path in [providers] if providers else traces:
            read = partial(read_federated, path, traces) if providers else partial(read_trace, path)
            found[path.name] = _run(session, read, [policy, *(vs or [])], setting)
    except (BadTrace, OSError) as error:
        title = session.text("cli.simulate.bad_trace")
        raise BadInput(problem_of("bad_trace", title, str(error), status=422)) from error
    if session.as_json:
        print(json.dumps({"traces": [_told(name, each) for name, each in found.items()]}, indent=2))
        return
    from intertie.cli.render.scores import scores_table

    for name, outcomes in found.items():
        session.out.print(scores_table(outcomes, name, session.lang))


def _run(
    session: Session, read: Callable[[], Any], names: list[str], setting: Setting
) -> dict[str, Outcome]:
    """Return the outcome of each policy on what is read; BadTrace or OSError if it cannot be."""
    from intertie.simulator.policies import policies_for

    with session.waiting("cli.simulate.reading"):
        trace = read()
    known = policies_for(trace)
    chosen = [_known(known, name, at) for at, name in enumerate(names)]
    outcomes = {}
    for each in chosen:
        with session.waiting("cli.simulate.running"):
            outcomes[each.name] = each.run(trace, setting)
    return outcomes


def _known(known: dict[str, SimulatedPolicy], name: str, at: int) -> SimulatedPolicy:
    if name not in known:
        told = f"{name!r} is none of {', '.join(known)}"
        raise typer.BadParameter(told, param_hint="--vs" if at else "--policy")
    return known[name]


def _one_of(value: str, known: tuple[str, ...], option: str) -> None:
    if value not in known:
        told = f"{value!r} is none of {', '.join(name for name in known if name)}"
        raise typer.BadParameter(told, param_hint=option)


def _told(trace: str, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return {"trace": trace, "scores": {name: each.measures for name, each in outcomes.items()}}
