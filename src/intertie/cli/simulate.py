"""`intertie simulate`: replay traces under one policy or more, compare, and write a report."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli.session import Session

if TYPE_CHECKING:
    from intertie.simulator.piece import Piece
    from intertie.simulator.running import Outcome, Setting

PolicyName = Annotated[str, typer.Option("--policy", help="cli.option.policy", metavar="NAME")]
Others = Annotated[
    list[str] | None, typer.Option("--vs", help="cli.option.vs_policy", metavar="NAME")
]
Capacity = Annotated[
    int | None, typer.Option("--capacity", help="cli.option.capacity", min=1, metavar="UNITS")
]
Devices = Annotated[
    list[str] | None, typer.Option("--devices", help="cli.option.devices", metavar="CLASS=COUNT")
]
Table = Annotated[
    Path | None, typer.Option("--throughputs", help="cli.option.throughputs", metavar="FILE")
]
Slice = Annotated[
    int | None, typer.Option("--slice", help="cli.option.slice", min=1, metavar="SECONDS")
]
Sweeps = Annotated[
    list[str] | None, typer.Option("--sweep", help="cli.option.sweep", metavar="NAME=A,B")
]
Folder = Annotated[
    Path | None, typer.Option("--out", help="cli.option.report", metavar="FOLDER", file_okay=False)
]
Ray = Annotated[str | None, typer.Option("--ray", help="cli.option.ray", metavar="URL")]


def simulate(
    session: Session,
    traces: Annotated[list[Path], typer.Argument(help="cli.option.trace", metavar="TRACE")],
    policy: PolicyName = "easy",
    vs: Others = None,
    capacity: Capacity = None,
    lengths: Annotated[
        str, typer.Option("--lengths", help="cli.option.lengths", metavar="KIND")
    ] = "stated",
    order: Annotated[str, typer.Option("--order", help="cli.option.order", metavar="NAME")] = "",
    by_instant: Annotated[bool, typer.Option("--by-instant", help="cli.option.by_instant")] = False,
    seed: Annotated[int, typer.Option("--seed", help="cli.option.seed")] = 0,
    devices: Devices = None,
    throughputs: Table = None,
    slice_s: Slice = None,
    sweep: Sweeps = None,
    out: Folder = None,
    ray: Ray = None,
    nodes: Annotated[
        Path | None, typer.Option("--nodes", help="cli.option.nodes", metavar="FILE")
    ] = None,
) -> None:
    """Replay traces on a virtual clock through the place step's own kernels."""
    from intertie.placement.ordering import ORDERS
    from intertie.simulator.piece import UnknownValue, pieces_of
    from intertie.simulator.running import LENGTHS, SLICE_MS, Setting

    _one_of(lengths, LENGTHS, "--lengths")
    _one_of(order, ("", *ORDERS), "--order")
    _check_folder(session, out, ray)
    setting = Setting(
        capacity=capacity or 0,
        lengths=lengths,
        is_by_event=not by_instant,
        seed=seed,
        order=order,
        nodes=nodes,
        devices=_counts(devices or []),
        slice_ms=slice_s * 1000 if slice_s else SLICE_MS,
    )
    try:
        pieces = [
            piece
            for path in traces
            for piece in pieces_of(path, throughputs, [policy, *(vs or [])], setting, _swept(sweep))
        ]
    except UnknownValue as error:
        raise typer.BadParameter(str(error), param_hint="--sweep") from error
    found = _found(session, pieces, bool(sweep), out, ray)
    if out:
        _report(session, found, setting, out)
    _show(session, found, out)


def _found(
    session: Session, pieces: list[Piece], is_sweep: bool, out: Path | None, ray: str | None
) -> dict[str, dict[str, Outcome]]:
    """Return the outcomes by trace and label, wherever the pieces are run."""
    from intertie.cli import spread
    from intertie.client import BadInput
    from intertie.client.errors import problem_of
    from intertie.engines.protocol import EngineUnavailable
    from intertie.simulator.piece import UnknownValue
    from intertie.simulator.traces.trace import BadTrace

    try:
        if ray and out:
            outcomes = spread.run_on_ray(session, pieces, ray, out)
        elif is_sweep:
            outcomes = spread.run_in_processes(session, pieces)
        else:
            outcomes = spread.run_here(session, pieces)
    except UnknownValue as error:
        raise typer.BadParameter(str(error), param_hint="--policy") from error
    except (BadTrace, OSError, EngineUnavailable) as error:
        title = session.text("cli.simulate.bad_trace")
        raise BadInput(problem_of("bad_trace", title, str(error), status=422)) from error
    found: dict[str, dict[str, Outcome]] = {}
    for piece, outcome in zip(pieces, outcomes, strict=True):
        found.setdefault(piece.trace.name, {})[piece.label] = outcome
    return found


def _show(session: Session, found: dict[str, dict[str, Outcome]], out: Path | None) -> None:
    if session.as_json:
        print(json.dumps({"traces": [_told(name, each) for name, each in found.items()]}, indent=2))
        return
    from intertie.cli.render.scores import scores_table

    for name, outcomes in found.items():
        session.out.print(scores_table(outcomes, name, session.lang))
    if out:
        from intertie.simulator.report.page import PAGE

        session.say("cli.simulate.written", path=str(out / PAGE))


def _report(
    session: Session, found: dict[str, dict[str, Outcome]], setting: Setting, out: Path
) -> None:
    from intertie.simulator.report.writing import write_report

    command = shlex.join(["intertie", *sys.argv[1:]])
    with session.waiting("cli.simulate.writing"):
        write_report(found, setting.seed, command, session.lang, out)


def _check_folder(session: Session, out: Path | None, ray: str | None) -> None:
    """Refuse what cannot be written before anything is run."""
    from intertie.simulator.report.tables import can_write

    if ray and not out:
        raise typer.BadParameter(session.text("cli.simulate.ray_needs_out"), param_hint="--ray")
    if out and not can_write():
        raise typer.BadParameter(session.text("cli.simulate.no_parquet"), param_hint="--out")


def _one_of(value: str, known: tuple[str, ...], option: str) -> None:
    if value not in known:
        told = f"{value!r} is none of {', '.join(name for name in known if name)}"
        raise typer.BadParameter(told, param_hint=option)


def _swept(told: list[str] | None) -> dict[str, list[str]]:
    pairs = [each.partition("=") for each in told or []]
    return {name: values.split(",") for name, _, values in pairs}


def _counts(told: list[str]) -> tuple[tuple[str, int], ...]:
    """Return how many devices there are of each class."""
    counts = []
    for each in told:
        name, _, count = each.partition("=")
        if not count.isdecimal():
            raise typer.BadParameter(f"{each!r} is not CLASS=COUNT", param_hint="--devices")
        counts.append((name, int(count)))
    return tuple(counts)


def _told(trace: str, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return {"trace": trace, "scores": {name: each.measures for name, each in outcomes.items()}}
