"""One line for each event, to stderr: what happened, then its values. Never a secret."""

import logging
import sys
from typing import Any

_LOGGER = logging.getLogger("intertie.agent")


def start_logging(pool: str) -> None:
    """Write this process's events to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s agent {pool}: %(message)s"))
    _LOGGER.handlers[:] = [handler]
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.INFO)


def event(what: str, /, **values: Any) -> None:
    """Write one event."""
    told = " ".join(f"{name}={_told(value)}" for name, value in values.items())
    _LOGGER.info("%s", f"{what} {told}".strip())


def _told(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or not c.isprintable() for c in text) else text
