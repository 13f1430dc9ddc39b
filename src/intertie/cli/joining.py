"""Commands with which a machine joins a network, and leaves it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli import exits
from intertie.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intertie.agent.settings import AgentSettings

STARTED_S = 180.0  # it measures its machine first
OPENED = "session open"

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="cli.option.agent_folder", metavar="FOLDER")
]


def join(
    session: Session,
    network: Annotated[str, typer.Argument(help="cli.option.join_url", metavar="URL")],
    engine: Annotated[
        str | None, typer.Option("--engine", help="cli.option.engine", metavar="ENGINE")
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", help="cli.option.pool", metavar="NAME")
    ] = None,
    price: Annotated[
        str | None, typer.Option("--price", help="cli.option.price", metavar="0.10")
    ] = None,
    folder: FolderOption = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="cli.option.fingerprint", metavar="sha256:…")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="cli.option.set", metavar="KEY=VALUE")
    ] = None,
    is_started: Annotated[bool, typer.Option("--start", help="cli.option.start")] = False,
) -> int:
    """Join a network with a one-time token: settings, key and enrolment, in one folder."""
    from intertie.agent import enrolling
    from intertie.client.pinning import split_address

    with _told(session, network):
        url, pinned = split_address(network)
        if not url.startswith(("http://", "https://")):
            raise _wrong(session.text("cli.join.address", address=network))
        named = {"pool": pool or _host_name(), "engine": engine, "price": price}
        told = {"network": url, "fingerprint": fingerprint or pinned, **named}
        place = (folder or _root() / str(told["pool"])).absolute()
        agent = enrolling.joined(place)
        if not agent and not session.options.token:
            raise _wrong(session.text("cli.join.needs_token"))
        if not agent:
            given = {key: value for key, value in told.items() if value is not None}
            settings = enrolling.write_settings(place, given, _table(session, sets or []))
            enrolling.check_engine(settings)
            agent = enrolling.enrol(settings, session.options.token or "")
        settings = _read(place)
    if settings.network != url:
        raise _wrong(session.text("cli.join.elsewhere", path=place, network=settings.network))
    if is_started:
        _start(session, settings)
    _tell(session, settings, agent, is_started)
    return exits.DONE


def leave(session: Session, folder: FolderOption = None) -> int:
    """Take nothing new, see out what runs, then have the key struck off."""
    from intertie.agent import enrolling, main, owner

    place = _place(session, folder)
    if not enrolling.joined(place):
        session.say("cli.leave.not_joined", path=place)
        return exits.DONE
    settings = _read(place)
    owner.leave(settings.folder)
    session.say("cli.leave.draining", pool=settings.pool)
    with session.waiting("cli.leave.waiting"):
        while enrolling.joined(settings.folder):
            if not main.is_running(settings.folder):
                main.run(settings)  # nobody speaks for the pool: see it out ourselves
            time.sleep(0.2)
    if session.as_json:
        print(json.dumps({"pool": settings.pool, "network": settings.network}))
    session.say("cli.leave.done", pool=settings.pool, network=settings.network)
    return exits.DONE


def _start(session: Session, settings: AgentSettings) -> None:
    """Start the agent in the background and return when it speaks for the pool."""
    from intertie.agent import enrolling, main

    if main.is_running(settings.folder):
        return
    log = settings.folder / "agent.log"
    command = [sys.executable, "-m", "intertie.agent", "--settings"]
    with log.open("ab") as out:
        begin = out.tell()
        child = subprocess.Popen(
            [*command, str(settings.folder / enrolling.FILE)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    ends = time.monotonic() + STARTED_S
    with session.waiting("cli.join.starting"):
        while OPENED not in (said := log.read_bytes()[begin:].decode(errors="replace")):
            if child.poll() is not None or time.monotonic() > ends:
                raise _wrong(session.text("cli.join.not_started", path=log, end=said[-500:]))
            time.sleep(0.1)


def _tell(session: Session, settings: AgentSettings, agent: str, is_started: bool) -> None:
    from intertie.agent import enrolling

    path = settings.folder / enrolling.FILE
    told = {"agent": agent, "network": settings.network, "pool": settings.pool}
    if session.as_json:
        print(json.dumps(told | {"settings": str(path), "is_started": is_started}))
        return
    session.say("cli.join.done", path=path, **told)
    session.say("cli.join.started" if is_started else "cli.join.next", path=path)
    unit = settings.folder / "intertie-agent.service"
    unit.write_text(enrolling.unit(settings), encoding="utf-8")
    session.say("cli.join.unit", path=unit)


def _table(session: Session, sets: list[str]) -> dict[str, str]:
    """Return the keys of the engine's own table, with values as they stand in TOML."""
    from intertie.agent.settings import Raw

    for each in sets:
        if not re.fullmatch(r"[\w-]+=.+", each):
            raise _wrong(session.text("cli.join.set", given=each))
    return {key: Raw.of(value) for key, _, value in (each.partition("=") for each in sets)}


def _place(session: Session, folder: Path | None) -> Path:
    """Return the folder that was named, or the only one that joined."""
    from intertie.agent import enrolling

    if folder is not None:
        return folder.absolute()
    found = [path.parent for path in sorted(_root().glob(f"*/{enrolling.FILE}"))]
    joined = [path for path in found if enrolling.joined(path)]
    if len(joined) != 1:
        names = ", ".join(str(path) for path in joined) or "–"
        raise _wrong(session.text("cli.leave.which", folders=names))
    return joined[0]


def _root() -> Path:
    from intertie.client import credentials

    return credentials.home() / "joined"


def _read(folder: Path) -> AgentSettings:
    from intertie.agent import enrolling
    from intertie.agent.settings import read_settings

    return read_settings(folder / enrolling.FILE)


def _host_name() -> str:
    return re.sub(r"[^\w.-]", "-", socket.gethostname())[:64].strip(".-") or "pool"


@contextmanager
def _told(session: Session, network: str) -> Iterator[None]:
    """Turn what may go wrong on the way in into an error with its exit code."""
    from intertie.agent import door
    from intertie.agent.settings import SettingsError
    from intertie.client import NoAccess, Unreachable
    from intertie.client.errors import problem_of
    from intertie.engines.protocol import EngineUnavailable

    def because(code: str, error: object) -> Any:
        return problem_of(code, session.text(f"problem.{code}"), str(error))

    try:
        yield
    except (SettingsError, ValueError) as error:
        raise _wrong(str(error)) from None
    except EngineUnavailable as error:
        raise Unreachable(because("engine_away", error)) from None
    except door.Untrusted as error:
        raise Unreachable(because("untrusted", f"{network}: {error}")) from None
    except door.Unreachable as error:
        raise Unreachable(because("unreachable", f"{network}: {error}")) from None
    except door.Refused as error:
        raise NoAccess(because(error.code or "refused", error)) from None
    except PermissionError as error:
        raise _wrong(f"{os.fspath(error.filename or '')}: {error.strerror}") from None


def _wrong(detail: str) -> Exception:
    from intertie.client import BadInput
    from intertie.client.errors import problem_of

    return BadInput(problem_of("bad_request", "", detail))
