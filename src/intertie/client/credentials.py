"""Which network to speak to and as whom: arguments, environment, then the credentials file."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.client.errors import BadInput, Unreachable, problem_of

FILE = "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """The address of a network and tokens by name, as ``intertie up`` writes them."""

    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    default: str = ""


def home() -> Path:
    """Return the folder with the credentials: $INTERTIE_HOME, else ~/.local/share/intertie."""
    told = os.environ.get("INTERTIE_HOME")
    return Path(told) if told else Path.home() / ".local" / "share" / "intertie"


def load(folder: Path | None = None) -> Credentials:
    """Return the credentials in a folder; empty ones where there is no file."""
    path = (folder or home()) / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Credentials()
    except (OSError, ValueError) as error:
        raise _bad_file(path, str(error)) from None
    return _checked(path, data)


def choose(url: str | None, token: str | None, name: str | None) -> tuple[str, str]:
    """Return the address and the token to use.

    A token of the file is only ever sent to the address in the file.
    """
    told_url = _pinned_as_before(url or os.environ.get("INTERTIE_URL", ""))
    told_token = token or ("" if name else os.environ.get("INTERTIE_TOKEN", ""))
    if told_url and told_token:
        return told_url, told_token
    known = load()
    address = told_url or known.url
    if not address:
        raise Unreachable(
            problem_of(
                "no_network",
                "No network is known",
                f"start one with `intertie up`, or set INTERTIE_URL (looked in {home() / FILE})",
            )
        )
    if told_token:
        return address, told_token
    if address.rstrip("/") != known.url.rstrip("/"):
        known = Credentials()
    return address, _token(known, name)


def _pinned_as_before(url: str) -> str:
    """Return the address with the fingerprint that is known of it, unless it brings its own."""
    if not url.startswith("https://") or "#" in url:
        return url
    known = load().url
    return known if known.partition("#")[0].rstrip("/") == url.rstrip("/") else url


def _token(known: Credentials, name: str | None) -> str:
    wanted = name or known.default
    if name and name not in known.tokens:
        names = ", ".join(sorted(known.tokens)) or "none"
        raise BadInput(
            problem_of("bad_option", f"There is no token for {name!r}", f"there is: {names}")
        )
    return known.tokens.get(wanted, "")


def _checked(path: Path, data: Any) -> Credentials:
    if not isinstance(data, dict) or not isinstance(data.get("tokens", {}), dict):
        raise _bad_file(path, 'it must hold {"url": …, "tokens": {…}, "default": …}')
    tokens = {str(name): str(token) for name, token in data.get("tokens", {}).items()}
    return Credentials(str(data.get("url", "")), tokens, str(data.get("default", "")))


def _bad_file(path: Path, why: str) -> BadInput:
    return BadInput(problem_of("bad_request", f"{path} cannot be read", why))
