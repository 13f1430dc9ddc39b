"""Commands about the network itself: start it, see it work, ask who one is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intertie.cli.session import Session

Home = Annotated[Path | None, typer.Option("--home", help="cli.option.home", metavar="FOLDER")]


def up(
    session: Session,
    home: Home = None,
    host: Annotated[str, typer.Option("--host", help="cli.option.host")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="cli.option.port")] = 8800,
    with_agent: Annotated[
        bool, typer.Option("--agent/--no-agent", help="cli.option.with_agent")
    ] = True,
) -> int:
    """Start a whole network on this machine and stay until Ctrl-C."""
    from intertie.cli import processes

    return processes.up(
        home=home,
        host=host,
        port=port,
        with_agent=with_agent,
        lang=session.lang,
        as_json=session.as_json,
    )


def demo(
    session: Session,
    out: Annotated[
        Path, typer.Option("--out", help="cli.option.out", metavar="FOLDER")
    ] = Path("demo-out"),
) -> int:
    """Tell the whole story with three providers and two projects."""
    from intertie.cli import demo as story

    return story.demo(out=out, lang=session.lang, as_json=session.as_json)


def whoami(session: Session) -> None:
    """Say whose token this is, and at which network."""
    found = session.network.me()
    told = {"name": found.name, "role": found.role, "network": found.network}
    session.show(
        found, lambda: session.text("cli.whoami", url=session.network.url, **told)
    )


def version(session: Session) -> None:
    """Print the version of this command."""
    from intertie import __version__

    if session.as_json:
        print(f'{{"version": "{__version__}"}}')
    else:
        print(f"intertie {__version__}")
