"""Commands about the network itself: start it, see it work, ask who one is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from intertie.cli import exits
from intertie.cli.artefacts import ArtefactsOption, EndpointOption, told
from intertie.cli.listening import (
    LOOPBACK,
    ChainOption,
    HostOption,
    InsecureOption,
    KeyOption,
    Listening,
    Tls,
    TlsOption,
    tell_join,
)
from intertie.cli.session import Session

if TYPE_CHECKING:
    from intertie.cli.up import Started


def up(
    session: Session,
    data: Annotated[
        Path | None, typer.Option("--data", help="cli.option.data", metavar="FOLDER")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="cli.option.port", min=0)] = 8420,
    with_agent: Annotated[
        bool, typer.Option("--agent/--no-agent", help="cli.option.with_agent")
    ] = True,
    host: HostOption = LOOPBACK,
    is_self_signed: TlsOption = False,
    chain: ChainOption = None,
    key: KeyOption = None,
    is_insecure: InsecureOption = False,
    artefacts: ArtefactsOption = "",
    endpoint: EndpointOption = "",
) -> int:
    """Start a whole network on this machine and stay until Ctrl-C."""
    from intertie.cli import up as embedded
    from intertie.cli.embedded import InUse
    from intertie.cli.processes import StartFailed
    from intertie.client import Unreachable, credentials
    from intertie.client.errors import problem_of

    folder = (data or credentials.home()).absolute()
    told(artefacts, endpoint)
    files = Tls(is_self_signed, chain, key, is_insecure).files(session, folder, host)
    listening = Listening(port, host, chain=files[0], key=files[1])
    try:
        with session.waiting("cli.up.starting"):
            network, started = embedded.start(data, port, with_agent, listening)
    except (InUse, StartFailed) as error:
        title = session.text("problem.unavailable")
        raise Unreachable(problem_of("unavailable", title, str(error))) from None
    try:
        _tell_started(session, started, network.listening)
        why = embedded.wait_for_end(network)
    finally:
        with session.waiting("cli.up.stopping"):
            network.stop()
    if why:
        session.err.print(why, markup=False)
    return exits.OUR_MISTAKE if why else exits.DONE


def demo(
    session: Session,
    out: Annotated[Path, typer.Option("--out", help="cli.option.out", metavar="FOLDER")] = Path(
        "demo-out"
    ),
    slurm: Annotated[
        Path | None, typer.Option("--slurm", help="cli.option.slurm", metavar="CONF", exists=True)
    ] = None,
) -> int:
    """Tell the whole story with three providers and two projects, and a Slurm site if one is here.

    One is here if `sinfo` answers; `slurm` names the configuration of one that it does not find.
    """
    from intertie.cli.demo.telling import demo as tell

    return tell(out=out, slurm=slurm, lang=session.lang, as_json=session.as_json)


def whoami(session: Session) -> None:
    """Say whose token this is, and at which network."""
    found = session.network.me()
    told = {"name": found.name, "role": found.role, "network": found.network}
    session.show(found, lambda: session.text("cli.whoami", url=session.network.url, **told))


def version(session: Session) -> None:
    """Print the version of this command."""
    from intertie import __version__

    if session.as_json:
        print(f'{{"version": "{__version__}"}}')
    else:
        print(f"intertie {__version__}")


def _tell_started(session: Session, started: Started, listening: Listening) -> None:
    if session.as_json:
        import json

        told = {"url": started.console, "data": str(started.data), "project": started.project}
        told["fingerprint"] = listening.fingerprint
        print(json.dumps(told), flush=True)
        return
    first = "cli.up.first" if started.is_first else "cli.up.again"
    session.say(first, project=started.project, data=started.data)
    session.say("cli.up.console", url=started.console, token=started.project_token)
    tell_join(session, "cli.up.join", listening.url, "TOKEN", listening.fingerprint)
    session.say("cli.up.next")
