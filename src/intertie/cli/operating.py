"""Commands of whoever runs a network: its processes, its tables, its backups, its health."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from intertie.cli import exits
from intertie.cli.artefacts import ArtefactsOption, EndpointOption, told, told_and_there
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
    from sqlalchemy import Engine

    from intertie.cli.roles import Place
    from intertie.store.backups import BackupFacts

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="cli.option.data", metavar="FOLDER", envvar="INTERTIE_HOME"),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", help="cli.option.database", metavar="URL", envvar="INTERTIE_DATABASE"
    ),
]


class Level(StrEnum):
    """The least important log lines that are written."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


LevelOption = Annotated[Level, typer.Option("--log-level", help="cli.option.log_level")]


def init(
    session: Session,
    data: DataOption = None,
    database: DatabaseOption = None,
    name: Annotated[str, typer.Option("--name", help="cli.option.network_name", metavar="NAME")] = (
        "intertie"
    ),
    address: Annotated[
        str, typer.Option("--address", help="cli.option.address", metavar="URL")
    ] = "http://127.0.0.1:8420",
    artefacts: ArtefactsOption = "",
    endpoint: EndpointOption = "",
) -> None:
    """Make a network in a database and keep its operator's token in the data folder."""
    from intertie.control.bootstrap import OPERATOR, make_token, open_network, save_credentials

    place = _place(data, database)
    path = place.data / "credentials.json"
    place.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        raise _wrong(session.text("cli.init.there", path=path))
    told_and_there(artefacts, endpoint)
    with _reached(session):
        engine = open_network(place.database, name)
        with engine.begin() as connection:
            token = make_token(connection, OPERATOR, 0)
        engine.dispose()
    save_credentials(path, address, {OPERATOR: token}, OPERATOR)
    if session.as_json:
        print(json.dumps({"network": name, "credentials": str(path)}))
    session.say("cli.init.made", name=name, path=path)


def serve(
    session: Session,
    data: DataOption = None,
    database: DatabaseOption = None,
    host: HostOption = LOOPBACK,
    port: Annotated[int, typer.Option("--port", help="cli.option.serve_port", min=1)] = 8420,
    has_console: Annotated[
        bool, typer.Option("--console/--no-console", help="cli.option.console")
    ] = True,
    notice: Annotated[
        float, typer.Option("--drain-notice", help="cli.option.notice", min=0, metavar="SECONDS")
    ] = 0,
    is_self_signed: TlsOption = False,
    chain: ChainOption = None,
    key: KeyOption = None,
    is_insecure: InsecureOption = False,
    artefacts: ArtefactsOption = "",
    endpoint: EndpointOption = "",
    door_url: Annotated[
        str,
        typer.Option(
            "--door-url", help="cli.option.door_url", metavar="URL", envvar="INTERTIE_DOOR_URL"
        ),
    ] = "",
    level: LevelOption = Level.info,
) -> None:
    """Run a door until it is told to end. Any number of them share a database and a folder."""
    from intertie.cli import roles

    place = _ready(session, data, database)
    told(artefacts, endpoint)
    if door_url and not door_url.startswith(("http://", "https://")):
        raise _wrong(session.text("cli.join.address", address=door_url))
    os.environ["INTERTIE_DOOR_URL"] = (
        door_url  # as of the artefacts, the door hears by its environment
    )
    files = Tls(is_self_signed, chain, key, is_insecure).files(session, place.data, host)
    listening = Listening(port, host, has_console, notice, *files)
    tell_join(session, "cli.up.join", listening.url, "TOKEN", listening.fingerprint)
    roles.serve(place, listening, level.value)


def decide(
    session: Session,
    data: DataOption = None,
    database: DatabaseOption = None,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", help="cli.option.metrics_port", min=0)
    ] = 0,
    level: LevelOption = Level.info,
) -> None:
    """Run a decider until it is told to end: it leads, or follows who leads."""
    from intertie.cli import roles

    roles.decide(_ready(session, data, database), metrics_port, level.value)


def migrate(
    session: Session,
    data: DataOption = None,
    database: DatabaseOption = None,
    to: Annotated[str, typer.Option("--to", help="cli.option.version", metavar="VERSION")] = "head",
) -> None:
    """Bring the tables to a version, forward or back; run it while nobody decides."""
    from intertie.store.database import migrate as move
    from intertie.store.versions import version_of

    with _opened(session, data, database) as engine:
        before = version_of(engine)
        with session.waiting("cli.migrate.moving"):
            move(engine, to)
        after = version_of(engine)
    if session.as_json:
        print(json.dumps({"from": before, "to": after}))
    session.say("cli.migrate.moved", before=before or "–", after=after or "–")


def backup(
    session: Session,
    out: Annotated[Path, typer.Argument(help="cli.option.backup", metavar="FOLDER")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Write a consistent copy of the database into a new folder, while everything runs."""
    from intertie.store.backups import BackupFailed, back_up

    try:
        with _opened(session, data, database) as engine, session.waiting("cli.backup.copying"):
            facts = back_up(engine, out)
    except BackupFailed as error:
        raise _wrong(str(error)) from None
    _tell(session, "cli.backup.made", facts, out)


def restore(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="cli.option.restored", metavar="FOLDER")],
    data: DataOption = None,
    database: DatabaseOption = None,
    is_replacing: Annotated[bool, typer.Option("--replace", help="cli.option.replace")] = False,
) -> None:
    """Put a backup in place of a network that is stopped, and begin a new incarnation."""
    from intertie.control.bootstrap import open_network, raise_incarnation
    from intertie.store.backups import BackupFailed, present_network, read_backup
    from intertie.store.backups import restore as put_back

    place = _place(data, database)
    try:
        facts = read_backup(folder)
        present = present_network(place.database)
        if present.is_led:
            raise _wrong(session.text("cli.restore.led"))
        if present.incarnation and not is_replacing:
            raise _wrong(session.text("cli.restore.there"))
        with session.waiting("cli.restore.copying"):
            put_back(folder, place.database)
            engine = open_network(place.database)
            raise_incarnation(engine, present.incarnation)
            engine.dispose()
    except BackupFailed as error:
        raise _wrong(str(error)) from None
    _tell(session, "cli.restore.done", facts, folder)


def incarnate(session: Session, data: DataOption = None, database: DatabaseOption = None) -> None:
    """Begin a new incarnation after another tool put the database back in time."""
    from intertie.control.bootstrap import raise_incarnation

    _ready(session, data, database)
    with _opened(session, data, database) as engine:
        incarnation = raise_incarnation(engine)
    if session.as_json:
        print(json.dumps({"incarnation": incarnation}))
    session.say("cli.incarnate.done", incarnation=incarnation)


def doctor(session: Session, data: DataOption = None, database: DatabaseOption = None) -> int:
    """Look at everything a network stands on, and say what to do about what is not right."""
    from intertie.cli.doctor import examine
    from intertie.cli.render.health import health_table

    found = list(examine(_place(data, database)))
    if session.as_json:
        print(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
    else:
        session.out.print(health_table(found, session.lang))
    is_well = all(each.word != "bad" for each in found)
    return exits.DONE if is_well else exits.JOB_FAILED


def _place(data: Path | None, database: str | None) -> Place:
    from intertie.cli.roles import Place
    from intertie.client import credentials

    return Place.of((data or credentials.home()).absolute(), database)


@contextmanager
def _opened(session: Session, data: Path | None, database: str | None) -> Iterator[Engine]:
    from intertie.store.database import open_database

    place = _place(data, database)
    with _reached(session):
        engine = open_database(place.database)
        engine.connect().close()
    try:
        yield engine
    finally:
        engine.dispose()


def _ready(session: Session, data: Path | None, database: str | None) -> Place:
    """Return the place of a network whose tables are those of this version."""
    from intertie.store.versions import is_newest

    with _opened(session, data, database) as engine:
        if not is_newest(engine):
            raise _wrong(session.text("cli.migrate.first"))
    return _place(data, database)


@contextmanager
def _reached(session: Session) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    from intertie.client import Unreachable
    from intertie.client.errors import problem_of

    try:
        yield
    except SQLAlchemyError as error:
        title, reason = session.text("cli.database.away"), str(error).partition("\n")[0]
        raise Unreachable(problem_of("unavailable", title, reason)) from None


def _tell(session: Session, key: str, facts: BackupFacts, folder: Path) -> None:
    if session.as_json:
        print(json.dumps(asdict(facts)))
    session.say(key, path=folder, round=facts.round, backup_at=facts.at, network=facts.network)


def _wrong(detail: str) -> Exception:
    from intertie.client import BadInput
    from intertie.client.errors import problem_of

    return BadInput(problem_of("bad_request", "", detail))
