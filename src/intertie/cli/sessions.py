"""`intertie open`: a terminal, a notebook or a port on leased devices."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli import exits
from intertie.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intertie.client.sessions import Forward

LOOK_S = 1.0
NOTEBOOK_PORT = 8888
NOTEBOOK_STACK = "jupyterlab"
# The token comes in the environment, where no other user of the machine sees it. Another port
# than the one that is forwarded would lead to somebody else's notebook.
NOTEBOOK = ["python3", "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
NOTEBOOK += [f"--port={NOTEBOOK_PORT}", "--ServerApp.port_retries=0"]
Words = Annotated[
    list[str] | None, typer.Argument(help="cli.option.open_command", metavar="-- COMMAND…")
]


def session_fields(
    name: Annotated[str | None, typer.Option("--name", help="cli.option.name")] = None,
    cpus: Annotated[str | None, typer.Option("--cpus", help="cli.option.cpus", metavar="N")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="cli.option.memory", metavar="4GiB")
    ] = None,
    disk: Annotated[
        str | None, typer.Option("--disk", help="cli.option.disk", metavar="1GiB")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="cli.option.device", metavar="CLASS[:N]")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time", help="cli.option.open_time", metavar="2h")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="cli.option.budget", metavar="2.50")
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
    network: Annotated[bool, typer.Option("--network", help="cli.option.network")] = False,
) -> None:
    """Fields of the session's job."""


def open_session(
    session: Session,
    fields: dict[str, Any],
    words: Words = None,
    idle: Annotated[str, typer.Option("--idle", help="cli.option.idle", metavar="30m")] = "30m",
    port: Annotated[
        list[str] | None,
        typer.Option("--port", "-p", help="cli.option.forward", metavar="[LOCAL:]PORT"),
    ] = None,
    notebook: Annotated[bool, typer.Option("--notebook", help="cli.option.notebook")] = False,
    job: Annotated[
        str | None, typer.Option("--job", help="cli.option.open_job", metavar="JOB")
    ] = None,
    terminal: Annotated[
        str | None, typer.Option("--terminal", help="cli.option.terminal", metavar="NAME")
    ] = None,
    no_terminal: Annotated[
        bool, typer.Option("--no-terminal", "-N", help="cli.option.no_terminal")
    ] = False,
    workdir: Annotated[
        Path | None, typer.Option("--workdir", help="cli.option.workdir", metavar="FOLDER")
    ] = None,
) -> int:
    """Open a session, or connect to one that runs, until its terminal ends or is left."""
    ports = [_ports(each) for each in port or []]
    command, told = list(words or []), dict(fields)
    if notebook:
        command, shown = NOTEBOOK, secrets.token_hex(16)
        told["software"] = {"stack": NOTEBOOK_STACK}
        told["env"] = [*told.get("env", []), f"JUPYTER_TOKEN={shown}"]
        ports = ports or [(NOTEBOOK_PORT, NOTEBOOK_PORT)]
    known = job or _submit(session, told, _seconds(idle), workdir)
    _wait(session, known, is_new=job is None)
    with ExitStack() as open_until_the_end:
        forwards = [
            open_until_the_end.enter_context(_forward(session, known, *each)) for each in ports
        ]
        if notebook:
            address = f"http://127.0.0.1:{forwards[0].local_port}/lab?token={shown}"
            _tell(session, "cli.open.notebook", url=address)
        if no_terminal:
            return _stay(session, known)
        return _terminal(session, known, terminal or "", command)


def _submit(session: Session, fields: dict[str, Any], idle_s: int, workdir: Path | None) -> str:
    from intertie.cli.run import spec_of
    from intertie.client.sessions import session_spec

    spec, folder = spec_of(["session"], fields, workdir)
    spec = session_spec(spec, idle_s)
    if folder is None:
        found = session.network.submit(spec)
    else:
        with session.progress("cli.run.uploading") as say:
            found = session.network.submit(spec, workdir=folder, on_progress=say)
    _tell(session, "cli.open.submitted", job=found.id)
    return found.id


def _wait(session: Session, job: str, is_new: bool) -> None:
    """Wait until the session runs; who gives up then need not pay for what starts later."""
    from intertie.client.sessions import wait_until_open

    try:
        with session.waiting("cli.open.waiting"):
            wait_until_open(session.network, job)
    except KeyboardInterrupt:
        if is_new:
            session.network.cancel(job)
            _tell(session, "cli.open.cancelled", job=job)
        raise


def _terminal(session: Session, job: str, name: str, command: list[str]) -> int:
    from intertie.cli.terminal import lend, window
    from intertie.client.sessions import Terminal

    remote = Terminal(session.network, job, window(), name, command)
    _tell(session, "cli.open.connected", job=job)
    code = lend(remote, lambda: _tell(session, "cli.open.lost"))
    if code is None:
        _tell(session, "cli.open.left", job=job, terminal=remote.name)
        return exits.DONE
    return code


def _stay(session: Session, job: str) -> int:
    """Keep the ports open until Ctrl-C, or until the session ends."""
    from intertie.client.sessions import OVER

    try:
        while session.network.job(job).state not in OVER:
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        _tell(session, "cli.open.ports_left", job=job)
        return exits.DONE
    _tell(session, "cli.open.over", job=job)
    return exits.DONE


@contextmanager
def _forward(session: Session, job: str, local_port: int, port: int) -> Iterator[Forward]:
    from intertie.client.sessions import Forward

    found = Forward(session.network, job, port, local_port)
    if session.as_json:
        print(json.dumps({"job": job, "port": port, "local_port": found.local_port}), flush=True)
    _tell(session, "cli.open.forwarded", url=f"127.0.0.1:{found.local_port}", port=port)
    try:
        yield found
    finally:
        found.close()


def _tell(session: Session, key: str, **values: Any) -> None:
    """Say something beside the terminal's own output; it may be raw, so the line says where."""
    if not session.as_json:
        said = session.text(key, **values)
        session.err.print(said, markup=False, soft_wrap=True, end="\r\n")


def _ports(text: str) -> tuple[int, int]:
    """Return the port here and the port there of ``8888`` or ``9000:8888``; 0 here is any."""
    local, _, port = text.rpartition(":")
    numbers = [local or port, port]
    if not all(each.isdigit() and int(each) < 1 << 16 for each in numbers) or not int(port):
        raise typer.BadParameter(f"write 8888 or 9000:8888, not {text!r}", param_hint="--port")
    return int(numbers[0]), int(numbers[1])


def _seconds(text: str) -> int:
    from intertie.wire.quantities import seconds_of

    try:
        found = seconds_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--idle") from None
    if not found:
        raise typer.BadParameter("write at least 1s", param_hint="--idle")
    return found
