"""`intertie up`: a network on this machine, with this machine as its first provider."""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from intertie.cli.embedded import EmbeddedNetwork
from intertie.cli.listening import Listening
from intertie.client import credentials

PROJECT = "home"
PROVIDER = "this-machine"
TRIAL_CREDITS = 100


@dataclass(frozen=True)
class Started:
    """What `up` tells the one who started it."""

    console: str
    data: Path
    project: str
    project_token: str
    is_first: bool


def start(
    data: Path | None, port: int, with_agent: bool, listening: Listening | None = None
) -> tuple[EmbeddedNetwork, Started]:
    """Start the network of a data folder; on the first start open a project with trial credit."""
    folder = data or credentials.home()
    is_first = not (folder / "credentials.json").exists()
    network = EmbeddedNetwork(folder, port, listening=listening)
    network.start()
    try:
        if PROJECT not in network.tokens():
            _first_parties(network, with_agent)
        else:
            for pool in network.known_agents():
                network.start_agent(pool)
        token = network.tokens()[PROJECT]
    except BaseException:
        network.stop()
        raise
    return network, Started(network.url, folder, PROJECT, token, is_first)


def wait_for_end(network: EmbeddedNetwork) -> str:
    """Return when the user ends it, with an empty text, or when a part ends, with its log."""
    should_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: should_end.set())
    while not should_end.wait(1.0):
        for process in network.processes():
            if process.exit_code() is not None:
                return f"{process.name} ended:\n{process.tail()}"
    return ""


def _first_parties(network: EmbeddedNetwork, with_agent: bool) -> None:
    operator = network.client()
    project = operator.create_project(PROJECT, trial=TRIAL_CREDITS)
    network.keep_token(PROJECT, project.token, is_default=True)
    if with_agent:
        provider = operator.create_provider(PROVIDER)
        network.keep_token(PROVIDER, provider.token)
        network.add_agent(PROVIDER, {"enrol_token": provider.enrol_token, "price": "0.10"})
