"""`intertie run`: submit a job from a file or a command, and follow it to its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli import exits, importing
from intertie.cli.session import Session

if TYPE_CHECKING:
    from intertie.wire.jobs import JobView

SPEC_SUFFIXES = (".yaml", ".yml", ".json")
Words = Annotated[
    list[str] | None,
    typer.Argument(help="cli.option.spec_or_command", metavar="SPEC | -- COMMAND…"),
]


def spec_fields(
    name: Annotated[str | None, typer.Option("--name", help="cli.option.name")] = None,
    cpus: Annotated[str | None, typer.Option("--cpus", help="cli.option.cpus", metavar="N")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="cli.option.memory", metavar="512MiB")
    ] = None,
    disk: Annotated[
        str | None, typer.Option("--disk", help="cli.option.disk", metavar="1GiB")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="cli.option.device", metavar="CLASS[:N]")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time-limit", help="cli.option.time_limit", metavar="10m")
    ] = None,
    expected: Annotated[
        str | None, typer.Option("--expected", help="cli.option.expected", metavar="2m")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="cli.option.deadline", metavar="TIME")
    ] = None,
    array: Annotated[int | None, typer.Option("--array", help="cli.option.array")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="cli.option.budget", metavar="2.50")
    ] = None,
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", help="cli.option.prefer", metavar="cheapest|soonest"),
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="cli.option.priority", metavar="N")
    ] = None,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="cli.option.provider", metavar="NAME")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="cli.option.env", metavar="NAME=VALUE")
    ] = None,
    result: Annotated[
        list[str] | None, typer.Option("--result", help="cli.option.result", metavar="PATH")
    ] = None,
    after: Annotated[
        list[str] | None, typer.Option("--after", help="cli.option.after", metavar="JOB")
    ] = None,
    requires: Annotated[
        list[str] | None, typer.Option("--require", help="cli.option.require", metavar="ABILITY")
    ] = None,
    network: Annotated[bool, typer.Option("--network", help="cli.option.network")] = False,
) -> None:
    """Fields of a job spec that stand on the command line; they take precedence over the file."""


Folder = Annotated[
    Path | None, typer.Option("--workdir", help="cli.option.workdir", metavar="FOLDER")
]
QuoteId = Annotated[str | None, typer.Option("--quote", help="cli.option.quote", metavar="QUOTE")]
OptionCode = Annotated[
    str | None, typer.Option("--option", help="cli.option.option", metavar="CODE")
]
Strict = Annotated[bool, typer.Option("--strict", help="cli.option.strict")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="cli.option.dry_run")]


def submit(
    session: Session,
    fields: dict[str, Any],
    words: Words = None,
    workdir: Folder = None,
    quote: QuoteId = None,
    option: OptionCode = None,
    strict: Strict = False,
    dry_run: DryRun = False,
) -> int:
    """Submit a job and say its id."""
    return run(session, fields, words, workdir, quote, option, True, None, strict, dry_run)


def run(
    session: Session,
    fields: dict[str, Any],
    words: Words = None,
    workdir: Folder = None,
    quote: QuoteId = None,
    option: OptionCode = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="cli.option.detach")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="cli.option.to", metavar="FOLDER")] = None,
    strict: Strict = False,
    dry_run: DryRun = False,
) -> int:
    """Submit; unless detached, follow, and end with the outcome, the cost and the results."""
    from intertie.client import specs

    spec, folder, found = asked_for(words or [], fields, workdir)
    if found and strict:
        importing.refuse_unmet(session, found)
    if dry_run:
        importing.show(session, found or importing.own(words or []), spec)
        return exits.DONE
    if found:
        importing.tell(session, found, folder)
    specs.load(spec, folder)  # what is wrong with it is said before anything is asked of a network
    with session.progress("cli.run.uploading") as say:
        job = session.network.submit(spec, quote, option, folder, on_progress=say)
    if detach:
        session.show(job, lambda: session.text("cli.run.submitted", job=job.id))
        return exits.DONE
    return follow(session, job, to)


def follow(session: Session, job: JobView, to: Path | None) -> int:
    """Follow a job to its end; Ctrl-C leaves it running and says so."""
    from intertie.cli.following import watch

    try:
        ended = watch(session, job)
    except KeyboardInterrupt:
        session.interrupt(session.text("cli.run.left", job=job.id))
        return exits.INTERRUPTED
    if to is not None and ended.outcome == "done":
        session.network.results(ended, to)
    session.show(ended, lambda: _ending(session, ended, to))
    return exits.code_of_job(ended)


def asked_for(
    words: list[str], fields: dict[str, Any], workdir: Path | None
) -> tuple[dict[str, Any], Path | None, importing.Brought | None]:
    """Return the spec that a command line means, its folder, and the file it was brought in.

    An sbatch script is known by its #SBATCH lines, a SkyPilot task by its fields.
    """
    if found := importing.brought(words, told := _as_spec(fields)):
        return found.spec(told), workdir or found.folder(), found
    return *spec_of(words, fields, workdir), None


def spec_of(
    words: list[str], fields: dict[str, Any], workdir: Path | None
) -> tuple[dict[str, Any], Path | None]:
    """Return the spec that a command line means, and the folder it names.

    One word that ends like a spec file is one; anything else is a command.
    """
    from intertie.client import SpecError, specs
    from intertie.client.errors import problem_of

    if not words:
        detail = "name a spec file, or write a command after --: intertie run -- echo hello"
        raise SpecError(problem_of("bad_spec", "There is nothing to run", detail, status=422))
    told = _as_spec(fields)
    if len(words) == 1 and words[0].endswith(SPEC_SUFFIXES):
        spec, folder = specs.read(words[0])
        resources = (spec.get("resources") or {}) | told.pop("resources", {})
        told |= {"resources": resources} if resources else {}
        return spec | told, workdir or folder
    name = {"name": Path(words[0]).name} if words and Path(words[0]).name[:1].isalnum() else {}
    return name | told | {"command": list(words)}, workdir


def _as_spec(fields: dict[str, Any]) -> dict[str, Any]:
    """Return options as the fields of a spec, under the spec's own names."""
    told = dict(fields)
    resources: dict[str, Any] = {n: told.pop(n) for n in ("cpus", "memory", "disk") if n in told}
    if "device" in told:
        device_class, _, count = str(told.pop("device")).partition(":")
        resources["devices"] = {"class": device_class, "count": count or 1}
    if resources:
        told["resources"] = resources
    if "array" in told:
        told["array"] = {"count": told["array"]}
    for option, field in (("provider", "providers"), ("result", "results")):
        if option in told:
            told[field] = told.pop(option)
    if "env" in told:
        told["environment"] = dict(_pair(pair) for pair in told.pop("env"))
    return told


def _pair(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals:
        raise typer.BadParameter(f"write NAME=VALUE, not {shlex.quote(pair)}", param_hint="--env")
    return name, value


def _ending(session: Session, job: JobView, to: Path | None) -> Any:
    from intertie.cli.render.jobs import ending_lines

    files = list(session.network.files(job))
    saved = str(to) if to is not None and job.outcome == "done" else ""
    return ending_lines(job, files, saved, session.lang)
