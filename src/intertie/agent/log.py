"""One line for each event, to stderr: a JSON object, or words where a person watches.

The fields are those of the network's own lines (docs/operations.md), so that one id finds a job
everywhere. Never a secret.
"""

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

_LOGGER = logging.getLogger("intertie.agent")
_KNOWN: dict[str, str] = {}


def start_logging(pool: str, is_json: bool | None = None) -> None:
    """Write this process's events to stderr; as JSON unless that is a terminal or told so."""
    is_json = not sys.stderr.isatty() if is_json is None else is_json
    _KNOWN.clear()
    know(pool=pool)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines() if is_json else _Words())
    for logger in (_LOGGER, logging.getLogger()):
        logger.handlers[:] = [handler]
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.INFO)
    threading.excepthook = _tell_thread


def know(**values: str) -> None:
    """Put these values into every later line, such as the agent's id once it has one."""
    _KNOWN.update(values)


def event(what: str, /, **values: Any) -> None:
    """Write one event; values that are empty are left out."""
    told = {name: value for name, value in values.items() if value not in ("", None)}
    _LOGGER.info(what, extra={"told": told})


class _Lines(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record), ensure_ascii=False, default=str)


class _Words(logging.Formatter):
    """What happened, then its values."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        at, _, _, what = (fields.pop(name) for name in ("at", "level", "process", "event"))
        error = fields.pop("exception", "")
        values = " ".join(f"{name}={_word(value)}" for name, value in fields.items())
        return f"{at} {what} {values}\n{error}".rstrip()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields = {
        "at": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "process": "agent",
        "event": record.getMessage(),
        **_KNOWN,
        **record.__dict__.get("told", {}),
    }
    if record.exc_info and record.exc_info[1]:
        fields["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
    return fields


def _word(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or not c.isprintable() for c in text) else text


def _tell_thread(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else ""
    error = args.exc_value
    _LOGGER.error(
        "a thread broke",
        exc_info=(type(error), error, error.__traceback__) if error else None,
        extra={"told": {"thread": name}},
    )
