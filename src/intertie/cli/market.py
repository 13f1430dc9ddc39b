"""Commands about the market: offers, and the quote of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from intertie.cli import importing
from intertie.cli.run import Words, asked_for
from intertie.cli.session import Session


def offers(session: Session) -> None:
    """Show what every provider offers now."""
    from intertie.cli.render.market import offers_table

    found = list(session.network.offers())
    if not found and not session.as_json:
        session.say("cli.offers.none")
        return
    session.show(found, lambda: offers_table(found, session.lang))


def quote(
    session: Session,
    fields: dict[str, Any],
    words: Words = None,
    workdir: Annotated[
        Path | None, typer.Option("--workdir", help="cli.option.workdir", metavar="FOLDER")
    ] = None,
) -> None:
    """Say what a job would cost and when it would finish; nothing is started."""
    from intertie.cli.render.market import quote_view
    from intertie.client import specs

    spec, folder, brought = asked_for(words or [], fields, workdir)
    if brought:
        importing.tell(session, brought, folder)
    specs.load(spec, folder)  # what is wrong with it is said before anything is asked of a network
    found = session.network.quote(spec, folder)
    session.show(found, lambda: quote_view(found, session.lang))
    session.say("cli.quote.accept", quote=found.id)
