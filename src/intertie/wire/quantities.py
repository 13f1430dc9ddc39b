"""Quantities as people write them, read into whole numbers.

``512MiB``, ``10m``, ``2.50``, ``0.5``.
"""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "k": 2**10,
    "m": 2**20,
    "g": 2**30,
    "t": 2**40,
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_NUMBER = re.compile(r"^\s*(-?[0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*$")
_LARGEST = 2**62


def bytes_of(value: Any) -> int:
    """Return whole bytes of ``512MiB`` or a plain number; raise ValueError that shows the form."""
    return _scaled(value, _BYTES, "a size such as 512MiB or 2GiB")


def seconds_of(value: Any) -> int:
    """Return whole seconds of ``90``, ``10m``, ``2h``, ``1h30m`` or ``1:30:00``."""
    if isinstance(value, str) and re.fullmatch(r"\d+(:\d\d){1,2}", value.strip()):
        parts = [int(p) for p in value.split(":")]
        while len(parts) < 3:
            parts.insert(0, 0)
        return parts[0] * 3600 + parts[1] * 60 + parts[2]
    if isinstance(value, str) and re.fullmatch(r"(\d+[smhd]){2,}", value.strip()):
        found = re.findall(r"\d+[smhd]", value)
        return sum(_scaled(part, _SECONDS, "a duration") for part in found)
    return _scaled(value, _SECONDS, "a duration such as 90, 10m or 2h")


def micro_of(value: Any) -> int:
    """Return whole micro-credits of an amount in credits such as ``2.50``; never negative."""
    return _times(value, 1_000_000, "an amount in credits such as 2.50")


def milli_of(value: Any) -> int:
    """Return thousandths of a number of cpus such as ``0.5`` or ``4``."""
    return _times(value, 1_000, "a number of cpus such as 0.5 or 4")


def instant_of(value: Any) -> int:
    """Return an instant from RFC 3339 text with a time zone, or from whole milliseconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("write an instant such as 2026-11-22T18:00:00+08:00") from None
    if moment.tzinfo is None:
        raise ValueError("add the time zone, such as 2026-11-22T18:00:00+08:00")
    return int(moment.timestamp() * 1000)


def written_micro(micro: int) -> str:
    """Return micro-credits as `micro_of` reads them, so that a message survives the journey."""
    return str(Decimal(micro) / 1_000_000)


def written_milli(milli: int) -> str:
    """Return thousandths of cpus as `milli_of` reads them."""
    return str(Decimal(milli) / 1_000)


def _scaled(value: Any, units: dict[str, int], form: str) -> int:
    match = _NUMBER.match(str(value)) if not isinstance(value, bool) else None
    if match is None or match.group(2).lower() not in units:
        raise ValueError(f"write {form}, not {value!r}")
    number = Decimal(match.group(1)) * units[match.group(2).lower()]
    return _whole(number, form)


def _times(value: Any, scale: int, form: str) -> int:
    try:
        number = Decimal(str(value)) * scale
    except InvalidOperation:
        raise ValueError(f"write {form}, not {value!r}") from None
    if isinstance(value, bool) or not number.is_finite():
        raise ValueError(f"write {form}, not {value!r}")
    return _whole(number, form)


def _whole(number: Decimal, form: str) -> int:
    if number < 0:
        raise ValueError(f"it is negative; write {form}")
    if number > _LARGEST:
        raise ValueError(f"it is too large; write {form}")
    return int(number.to_integral_value(rounding="ROUND_CEILING"))


Bytes = Annotated[
    int,
    BeforeValidator(bytes_of),
    Field(ge=0, json_schema_extra={"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
Seconds = Annotated[
    int,
    BeforeValidator(seconds_of),
    Field(ge=0, json_schema_extra={"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
Credits = Annotated[
    int,
    BeforeValidator(micro_of),
    PlainSerializer(written_micro, when_used="json"),
    Field(ge=0, json_schema_extra={"anyOf": [{"type": "string"}, {"type": "number"}]}),
]
Cpus = Annotated[
    int,
    BeforeValidator(milli_of),
    PlainSerializer(written_milli, when_used="json"),
    Field(gt=0, json_schema_extra={"anyOf": [{"type": "string"}, {"type": "number"}]}),
]
Moment = Annotated[
    int,
    BeforeValidator(instant_of),
    Field(ge=0, json_schema_extra={"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
