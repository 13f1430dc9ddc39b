"""What pydantic found wrong, as fields by their path and a sentence that says how to mend each."""

from collections.abc import Sequence
from typing import Any

from intertie.api.speech import spoken
from intertie.catalogue.texts import has_text
from intertie.wire.base import FieldError

_PLACES = ("body", "query", "path", "header")
_FAULTS_MAX = 50


def faults_of(errors: Sequence[Any], lang: str) -> list[FieldError]:
    """Return each fault as a field such as ``spec.resources.memory`` and what to write there."""
    return [
        FieldError(field=_field(fault), message=_message(fault, lang))
        for fault in errors[:_FAULTS_MAX]
    ]


def is_bad_json(errors: Sequence[Any]) -> bool:
    """Return whether the body could not be read at all."""
    return any(fault["type"] == "json_invalid" for fault in errors)


def _field(fault: Any) -> str:
    place = list(fault["loc"])
    if fault["type"] == "json_invalid":
        return "body"
    if len(place) > 1 and place[0] in _PLACES:
        place = place[1:]
    return ".".join(str(part) for part in place)


def _message(fault: Any, lang: str) -> str:
    kind, context = str(fault["type"]), fault.get("ctx") or {}
    told = {name: value for name, value in context.items() if isinstance(value, int | float | str)}
    key = f"fault.{kind}"
    if has_text(lang, key):
        return spoken(lang, key, **told, given=_shown(fault.get("input")))
    return str(fault["msg"]).removeprefix("Value error, ")


def _shown(given: Any) -> str:
    words = repr(given)
    return words if len(words) <= 60 else f"{words[:57]}..."
