"""Joining a network once: the settings file, the key, and the agent's id in one folder."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intertie.agent import joining
from intertie.agent.door import Door
from intertie.agent.key import load_key
from intertie.agent.settings import AgentSettings, SettingsError, read_settings, with_keys
from intertie.engines.protocol import EngineFacts

FILE = "agent.toml"
_BEGINNING = """\
# The owner's word to the agent; what may be said here: docs/joining.md. Checked as a whole by
# `intertie agent check` before it counts.
folder = "."
"""


def joined(folder: Path) -> str:
    """Return the agent's id in the network that a folder has joined; empty if it has not."""
    try:
        return str(json.loads((folder / joining.IDENTITY).read_text())["agent"])
    except (OSError, ValueError, KeyError):
        return ""


def write_settings(
    folder: Path, told: Mapping[str, Any], table: Mapping[str, Any]
) -> AgentSettings:
    """Write what was told into the settings file of a folder; what else stands there stays.

    `table` goes into the engine's own, which is read from `told`.

    Raises SettingsError, and leaves the file as it was before, if that does not make sense.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--folder: {folder}: {error.strerror}; name another") from error
    path = folder / FILE
    before = path.read_text(encoding="utf-8") if path.exists() else _BEGINNING
    new = folder / f"{FILE}.new"
    new.touch(mode=0o600)
    text = with_keys(before, told)
    if table:
        text = with_keys(text, table, str(told.get("engine", "host")))
    new.write_text(text, encoding="utf-8")
    settings = read_settings(new)
    new.replace(path)
    return settings


def check_engine(settings: AgentSettings) -> EngineFacts:
    """Return what the engine has; SettingsError or EngineUnavailable say what it lacks."""
    engine = joining.open_engine(settings)
    try:
        return joining.offered(settings, engine.facts())
    finally:
        engine.close()


def enrol(settings: AgentSettings, token: str) -> str:
    """Spend a one-time token and return the agent's id; asked again the answer is the same.

    Raises Refused (the token), Untrusted (the certificate) and Unreachable.
    """
    door = Door(settings.network, load_key(settings.folder), settings.fingerprint)
    try:
        return joining.enrolled_id(settings, door, token)
    finally:
        door.client.close()


def unit(settings: AgentSettings) -> str:
    """Return a systemd unit that keeps the agent running."""
    command = shlex.join([sys.executable, "-m", "intertie.agent", "--settings"])
    path = shlex.quote(str(settings.folder / FILE))
    return (
        "[Unit]\nDescription=Intertie agent\nAfter=network-online.target\n\n"
        f"[Service]\nExecStart={command} {path}\nRestart=on-failure\nKillMode=process\n"
        "Delegate=yes\n\n"
        "[Install]\nWantedBy=default.target\n"
    )
