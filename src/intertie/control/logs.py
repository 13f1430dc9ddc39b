"""Structured logs: one JSON object a line on stderr, with the ids that follow a job.

A line has `at` (ISO 8601, UTC), `level`, `process` and `event`, then what it is about: `job`,
`lease`, `agent`, `project`, `inbox`, `round`, `request`. docs/operations.md describes them.
"""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

from intertie.cycle.inbox import InboxRow
from intertie.model.ids import encode
from intertie.model.states import Cause, Outcome
from intertie.world.changes import Answer, Changes, Event

Told = MutableMapping[str, Any]
Bound = structlog.typing.FilteringBoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Whose number an inbox row's actor is.
ACTORS = {
    "agent": "provider",
    "session": "agent",
    "sync": "agent",
    "quote": "project",
    "job": "project",
    "cancel": "project",
    "why": "project",
    "queue": "project",
}
# Kinds of which there are thousands a second, or that change nothing.
QUIET = frozenset({"sync", "session", "why", "queue", "quote"})

# What may have slipped into a text that others wrote: tokens, passwords in addresses, and the
# values that a database or a validator repeats, among which are the environments of jobs.
_SECRET = re.compile(
    r"itk_\w+?_[\w-]+|ita_[\w.-]+|(?<=://)[^/\s@\"]+(?=@)|(?<=Bearer )\S+"
    r"|(?<=\[parameters: )(?s:.*?)(?=\](?:\n|$))|(?<=DETAIL: )[^\n]*|(?<=input_value=)[^\n]*"
)
_STANDS_FOR = "…"


def configure(
    process: str, level: str = "info", is_json: bool | None = None, stream: TextIO | None = None
) -> None:
    """Have this process write its log lines; `level` is one of LEVELS, ValueError for others.

    `process` is door or decider. Lines are for people where stderr is a terminal, and
    JSON otherwise, unless `is_json` says so. Other libraries are heard from warnings on.
    """
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no level: choose one of {', '.join(LEVELS)}")
    stream = stream or sys.stderr
    is_json = not stream.isatty() if is_json is None else is_json
    write = _write_json if is_json else structlog.dev.ConsoleRenderer(timestamp_key="at")
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _Stamp(process), _explain, write],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Others()]
    root.setLevel(logging.WARNING)
    logging.getLogger("intertie").setLevel(LEVELS[level])
    logging.captureWarnings(True)
    sys.excepthook = _tell_end
    threading.excepthook = _tell_thread


def tell_append(kind: str, actor: int, number: int, body: dict[str, Any]) -> None:
    """Write that a door appended an inbox row: from here on its id is the one to search for."""
    tell = log.debug if kind in QUIET else log.info
    noun = ACTORS.get(kind)
    known = {noun: encode(noun, actor)} if noun and actor else {}
    if kind == "job":
        known["job"] = encode("job", number)
    elif kind in ("cancel", "why"):
        known["job"] = encode("job", int(body["job"]))
    tell("appended", kind=kind, inbox=number, **known)


def tell_round(
    number: int, inbox: Sequence[InboxRow], changes: Changes, decide_s: float, commit_s: float
) -> None:
    """Write what a committed round did, by job; what it did to each task only when debugging."""
    told = log.bind(round=number)
    if not told.is_enabled_for(logging.INFO):
        return
    is_debugging = told.is_enabled_for(logging.DEBUG)
    took = {"decide_s": round(decide_s, 6), "commit_s": round(commit_s, 6)}
    told.debug("round committed", rows=len(inbox), **took)
    kinds = {row.id: row for row in inbox}
    for answer in changes.answers:
        if answer.refusal is not None:
            _tell_refusal(told, kinds.get(answer.inbox), answer)
    for event in changes.events:
        if event.code.startswith("job_"):
            told.info(_words(event.code), job=encode("job", event.job), **_of(event))
        elif is_debugging:
            told.debug(_words(event.code), job=encode("job", event.job), **_of(event))


def without_secrets(text: str) -> str:
    """Return a text with every token, password and repeated value taken out."""
    return _SECRET.sub(_STANDS_FOR, text)


def _tell_refusal(told: Bound, row: InboxRow | None, answer: Answer) -> None:
    assert answer.refusal is not None
    kind = row.kind if row else ""
    noun = ACTORS.get(kind)
    known = {noun: encode(noun, row.actor)} if noun and row else {}
    if kind == "job":
        known["job"] = encode("job", answer.inbox)
    tell = told.debug if kind in QUIET else told.info
    tell("refused", kind=kind, inbox=answer.inbox, code=answer.refusal.code, **known)


def _words(code: str) -> str:
    return code.replace("_", " ")


def _of(event: Event) -> dict[str, Any]:
    """Return an event's values as fields of a line: ids and words instead of numbers."""
    told = {}
    for name, value in event.values.items():
        field, spell = _SPELT.get(name, (name, None))
        told[field] = spell(value) if spell else value
    return told


_SPELT: dict[str, tuple[str, Callable[[int], str]]] = {
    "pool": ("agent", lambda number: encode("agent", number)),
    "lease": ("lease", lambda number: encode("lease", number)),
    "job": ("other_job", str),
    "outcome": ("outcome", lambda code: Outcome(code).name.lower()),
    "cause": ("cause", lambda code: Cause(code).name.lower()),
}


class _Stamp:
    """Puts before a line when, how grave and where."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _: Any, name: str, told: Told) -> Told:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        known = {"at": at, "level": name, "process": self._process, "event": told.pop("event")}
        return {**known, **told}


def _explain(_: Any, __: str, told: Told) -> Told:
    """Spell out an error, without the values that it repeats."""
    error = told.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        told["exception"] = without_secrets("".join(traceback.format_exception(error)))
    if told["level"] in ("warning", "error", "critical"):
        told["event"] = without_secrets(str(told["event"]))
    return told


def _write_json(_: Any, __: str, told: Told) -> str:
    return orjson.dumps(told, default=str).decode()


class _Others(logging.Handler):
    """Brings what libraries log the usual way into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        grave = min(record.levelno // 10 * 10, logging.CRITICAL)
        log.log(grave, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def _tell_end(kind: type[BaseException], error: BaseException, _: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("the process broke", exc_info=error)


def _tell_thread(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread else ""
    log.error("a thread broke", thread=name, exc_info=args.exc_value)


# Until `configure` is called, as in tests and tools, warnings alone are written.
structlog.configure(
    processors=[_Stamp(""), _explain, _write_json],
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    cache_logger_on_first_use=False,
)
log: Bound = structlog.get_logger()
