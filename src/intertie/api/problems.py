"""Every "no" of a door as application/problem+json, in the language of whoever asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from intertie.api.faults import faults_of, is_bad_json
from intertie.api.speech import language_of, spoken, spoken_pools, spoken_refusal
from intertie.control.logs import log
from intertie.control.metrics import DOOR_REFUSALS
from intertie.control.waiting import NotDecided, Refused
from intertie.model.refusal import Refusal
from intertie.store.appending import KeyReused
from intertie.store.blobs import StoreAway
from intertie.store.patience import is_away
from intertie.wire.base import FieldError, Problem, plain

PROBLEM_TYPE = "application/problem+json"
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Wrong(HTTPException):
    """A "no" of the door itself: its status, its code, and a detail by key and values."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        refusal: Refusal | None = None,
        pools: Sequence[tuple[str, Refusal]] = (),
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> None:
        super().__init__(status, detail=code, headers=dict(headers or {}))
        self.code, self.key, self.values = code, detail, values
        self.errors, self.refusal, self.pools = list(errors), refusal, pools


def not_found(noun: str, known_as: str) -> Wrong:
    """Return the answer for what is not there, or is not the asker's: the two look alike."""
    return Wrong(404, "not_found", "no_such", noun=noun, id=known_as)


def problem(request: Request, wrong: Wrong) -> Response:
    """Return the answer for one "no"."""
    lang = language_of(request)
    DOOR_REFUSALS.labels(wrong.refusal.code if wrong.refusal else wrong.code).inc()
    body = Problem(
        type=f"/problems/{wrong.code}",
        title=spoken(lang, f"problem.{wrong.code}"),
        status=wrong.status_code,
        detail=spoken(lang, f"detail.{wrong.key}", **wrong.values) if wrong.key else "",
        code=wrong.code,
        errors=wrong.errors,
        refusal=spoken_refusal(wrong.refusal, lang) if wrong.refusal else None,
        pools=spoken_pools(wrong.pools, lang),
    )
    return JSONResponse(
        plain(body),
        wrong.status_code,
        {**(wrong.headers or {}), "Content-Language": lang},
        media_type=PROBLEM_TYPE,
    )


def refused_status(refusal: Refusal) -> tuple[int, str]:
    """Return the status and code under which a refusal of a round travels."""
    if refusal.code == "fenced_out":
        is_newer = int(refusal.values["now"]) > int(refusal.values["epoch"])
        return 409, "fenced_out" if is_newer else "session_unknown"
    if refusal.code in ("name_taken", "leases_left"):
        return 409, "conflict"
    if refusal.code == "agent_left":
        return 410, "agent_left"
    return 422, "refused"


def install(app: FastAPI) -> None:
    """Turn every error of the app into a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(NotDecided, _not_decided)
    app.add_exception_handler(KeyReused, _key_reused)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(DBAPIError, _store)
    app.add_exception_handler(NoConnection, _store)
    app.add_exception_handler(StoreAway, _artefacts)
    app.add_exception_handler(Exception, _unknown)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not isinstance(error, Wrong):
        code = _CODES.get(error.status_code, "bad_request")
        error = Wrong(error.status_code, code, headers=error.headers)
    return problem(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    lang = language_of(request)
    code = "bad_json" if is_bad_json(error.errors()) else "bad_request"
    if code == "bad_request" and any("spec" in fault["loc"] for fault in error.errors()):
        code = "bad_spec"
    return problem(request, Wrong(422, code, errors=faults_of(error.errors(), lang)))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    status, code = refused_status(error.refusal)
    return problem(request, Wrong(status, code, refusal=error.refusal, pools=error.pools))


async def _not_decided(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotDecided)
    headers = {"Retry-After": "1"}
    return problem(request, Wrong(503, "decider_silent", "not_decided", headers=headers))


async def _key_reused(request: Request, error: Exception) -> Response:
    return problem(request, Wrong(409, "idempotency_conflict", "key_reused"))


async def _no_text(request: Request, error: Exception) -> Response:
    """JSON can spell half of a character; no store can keep it."""
    assert isinstance(error, UnicodeEncodeError)
    told = FieldError(field="body", message=f"it holds text that is not Unicode: {error.reason}")
    return problem(request, Wrong(422, "bad_request", errors=[told]))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _store(request: Request, error: Exception) -> Response:
    """A database that goes away in the middle of an answer comes back: it may be asked again."""
    if not isinstance(error, NoConnection) and not is_away(error):
        return await _unknown(request, error)
    return problem(request, Wrong(503, "unavailable", headers={"Retry-After": "1"}))


async def _artefacts(request: Request, error: Exception) -> Response:
    """Blobs cannot be had for now; the operator reads why, who asked need not."""
    log.warning("artefacts away", reason=str(error))
    wrong = Wrong(503, "unavailable", "artefacts_away", headers={"Retry-After": "2"})
    return problem(request, wrong)


async def _unknown(request: Request, error: Exception) -> Response:
    number = request.scope["request_id"]
    log.error("failed", method=request.method, path=request.url.path, exc_info=error)
    # The server closes this connection: a caller that used it again would lose what it asks.
    headers = {"X-Intertie-Request": number, "Connection": "close"}
    return problem(request, Wrong(500, "internal", "internal", headers=headers, id=number))
