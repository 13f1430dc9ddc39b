"""Commands of the provider's side: run an agent, check a machine, take it back, lend it again."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from intertie.cli import exits
from intertie.cli.session import Session

if TYPE_CHECKING:
    from intertie.agent.settings import AgentSettings

_AS_THEY_STAND = {"who": "{who}", "refused": "{refused}"}
Settings = Annotated[Path, typer.Argument(help="cli.option.settings", metavar="SETTINGS")]


def run(session: Session, settings: Settings) -> int:
    """Run an agent in the foreground with a settings file, until it is told to stop."""
    told = _read(settings)
    from intertie.agent import main

    return main.run(told) or exits.DONE


def check(
    session: Session,
    settings: Annotated[
        Path | None, typer.Argument(help="cli.option.settings_maybe", metavar="[SETTINGS]")
    ] = None,
) -> int:
    """Say what this pool would offer now and why; without settings, what this machine has."""
    if settings is None:
        _show_machine(session)
        return exits.DONE
    from intertie.cli.checking import check as look
    from intertie.cli.render.agent import facts_view
    from intertie.cli.render.base import abilities_in_words
    from intertie.cli.render.health import health_table

    words = {word: session.text(f"cli.agent.{word}") for word in ("always", "everyone")}
    words["but"] = session.text("cli.agent.but", **_AS_THEY_STAND)
    found = look(settings, words, partial(abilities_in_words, lang=session.lang))
    if session.as_json:
        print(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    else:
        if found.facts is not None:
            session.out.print(facts_view(found.facts, session.lang))
        session.out.print(health_table(found.findings, session.lang))
    return exits.DONE if found.is_well else exits.JOB_FAILED


def reclaim(
    session: Session,
    settings: Settings,
    cpus: Annotated[str, typer.Option("--cpus", help="cli.option.keep_lent", metavar="N")] = "0",
    seconds: Annotated[
        str | None, typer.Option("--for", help="cli.option.reclaim_for", metavar="10m")
    ] = None,
) -> None:
    """Take lent capacity back for the owner; running tasks get their grace."""
    from intertie.agent import owner
    from intertie.wire.quantities import milli_of, seconds_of

    try:
        kept_milli, for_s = milli_of(cpus), None if seconds is None else seconds_of(seconds)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    told = _read(settings)
    owner.reclaim(told.folder, kept_milli, for_s)
    session.say("cli.agent.reclaimed", pool=told.pool, kept_milli=kept_milli)


def release(session: Session, settings: Settings) -> None:
    """Lend everything again, as the terms say."""
    from intertie.agent import owner

    told = _read(settings)
    owner.release(told.folder)
    session.say("cli.agent.released", pool=told.pool)


def _read(path: Path) -> AgentSettings:
    from intertie.agent.settings import SettingsError, read_settings
    from intertie.client import BadInput
    from intertie.client.errors import problem_of

    try:
        return read_settings(path)
    except SettingsError as error:
        raise BadInput(problem_of("bad_request", "The settings are wrong", str(error))) from None


def _show_machine(session: Session) -> None:
    from intertie.cli.render.agent import facts_view
    from intertie.engines.host.engine import open_engine
    from intertie.engines.registry import EngineSettings
    from intertie.model.plain import to_plain

    with tempfile.TemporaryDirectory(prefix="intertie-check-") as folder:
        found = open_engine(EngineSettings(Path(folder))).facts()
    if session.as_json:
        print(json.dumps(to_plain(found), indent=2, ensure_ascii=False))
    else:
        session.out.print(facts_view(found, session.lang))
