"""Codes and values as text in the language of whoever asked."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import HTTPConnection

from intertie.catalogue.texts import negotiate, text
from intertie.model.refusal import Refusal, Relaxation
from intertie.wire.base import PoolReason, RefusalBody, RelaxationBody


def language_of(request: HTTPConnection) -> str:
    """Return the best language for the Accept-Language of a request."""
    return negotiate(request.headers.get("accept-language"))


def spoken(lang: str, key: str, **values: Any) -> str:
    """Return the text of a key, or its last word where the catalogue is older than the code."""
    try:
        return text(lang, key, **values)
    except KeyError:
        return key.rpartition(".")[2].replace("_", " ")


def spoken_pools(pools: Sequence[tuple[str, Refusal]], lang: str) -> list[PoolReason]:
    """Return each pool's reason in the language."""
    return [PoolReason(pool=place, refusal=spoken_refusal(no, lang)) for place, no in pools]


def spoken_refusal(refusal: Refusal, lang: str) -> RefusalBody:
    """Return a refusal with its relaxation as code, values and text."""
    change = refusal.relaxation
    relaxation = None if change is None else spoken_relaxation(change, lang)
    return RefusalBody(
        code=refusal.code,
        values=refusal.values,
        text=spoken(lang, f"refusal.{refusal.code}", **refusal.values),
        relaxation=relaxation,
    )


def spoken_relaxation(change: Relaxation, lang: str) -> RelaxationBody:
    """Return a change that would help as code, values and text."""
    text_of = spoken(lang, f"relaxation.{change.code}", **change.values)
    return RelaxationBody(code=change.code, values=change.values, text=text_of)
