"""Texts by key and language, and the one set of rules for how a value looks in a sentence.

A placeholder's last word is its unit, as in code: `{needs_bytes}` reads ``4 GiB``, `{to_micro}`
``2.50 credits``, `{by_s}` ``2 min 5 s``, `{latency_ms}` ``20 ms``, `{until_at}` local time,
`{has_milli}` thousandths as a plain number. `{tasks:task|tasks}` counts in English; `{state}`,
`{cause}` and the like are words that have a text of their own.
"""

import json
import re
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

DEFAULT = "en"
WORDS = ("state", "outcome", "cause", "ability", "source", "noun")

_FOLDER = Path(__file__).parent / "texts"
_DURATION_UNITS = {"en": ("d", "h", "min", "s"), "zh-CN": ("天", "小时", "分", "秒")}
_CREDIT_UNITS = {"en": "credits", "zh-CN": "点"}


def text(lang: str, key: str, /, **values: Any) -> str:
    """Return the text of `key` with its values put in; a missing key or value raises KeyError."""
    pattern = _texts(lang)[key]
    spoken = _Spoken(lang).vformat(pattern, (), values)
    return _close_gaps(spoken) if "" in values.values() else spoken


def has_text(lang: str, key: str) -> bool:
    """Return whether the catalogue knows `key`; a newer network may send codes that it does not."""
    return key in _texts(lang)


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there are texts in, the default first."""
    others = sorted(path.stem for path in _FOLDER.glob("*.json") if path.stem != DEFAULT)
    return (DEFAULT, *others)


def negotiate(accept_language: str | None) -> str:
    """Return the best language for an ``Accept-Language`` header or a locale (``zh_CN.UTF-8``)."""
    for wanted in _by_preference(accept_language or ""):
        for lang in languages():
            if wanted == lang.lower() or wanted.split("-")[0] == lang.lower().split("-")[0]:
                return lang
    return DEFAULT


def keys(lang: str) -> dict[str, str]:
    """Return every key with its pattern, for checks."""
    return dict(_texts(lang))


def placeholders(pattern: str) -> frozenset[str]:
    """Return the names of the values that a pattern needs."""
    return frozenset(name for _, name, _, _ in Formatter().parse(pattern) if name)


def credits_of(micro: int, lang: str | None = None) -> str:
    """Return an amount in credits, exact, with two decimals at least; with its unit if `lang`."""
    number = Decimal(micro) / 1_000_000
    decimals = max(2, -int(number.normalize().as_tuple().exponent))
    return f"{number:,.{decimals}f}" + (f" {_CREDIT_UNITS[lang]}" if lang else "")


def size_of(size_bytes: int) -> str:
    """Return a size such as ``512 MiB`` or ``1.5 GiB``."""
    for unit, scale in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(size_bytes) >= scale:
            return f"{size_bytes / scale:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size_bytes} B"


def duration_of(seconds: float, lang: str = DEFAULT) -> str:
    """Return a duration in its two largest units, such as ``2 h 5 min``."""
    units = _DURATION_UNITS[lang]
    if abs(seconds) < 60:
        short = f"{seconds:.1f}".removesuffix(".0") if seconds % 1 else f"{seconds:.0f}"
        return f"{short} {units[3]}"
    left = round(seconds)
    parts = []
    for unit, scale in zip(units, (86_400, 3_600, 60, 1), strict=True):
        count, left = divmod(left, scale)
        parts.append((count, unit))
    while not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def moment_of(instant_ms: int) -> str:
    """Return an instant in local time, such as ``2026-11-22 18:00:05``."""
    moment = datetime.fromtimestamp(instant_ms / 1000).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def number_of_milli(milli: int) -> str:
    """Return thousandths as a plain number: 500 is ``0.5``, 4000 is ``4``."""
    return f"{(Decimal(milli) / 1000).normalize():f}"


class _Spoken(Formatter):
    """Formats each value by the unit in its name."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        value = super().get_value(key, args, kwargs)
        return _Named(str(key), value)

    def format_field(self, value: Any, format_spec: str) -> str:
        assert isinstance(value, _Named), "placeholders are plain names"
        if "|" in format_spec and isinstance(value.value, int):
            one, many = format_spec.split("|")
            return f"{value.value} {one if value.value == 1 else many}"
        return _look(value.name, value.value, self.lang)


class _Named:
    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value


def _look(name: str, value: Any, lang: str) -> str:
    if isinstance(value, str):
        return _word(name, value, lang)
    unit = name.rpartition("_")[2]
    if not isinstance(value, int | float) or unit == name:
        return str(value)
    if unit == "s":
        return duration_of(value, lang)
    if unit == "percent":
        return f"{value:.1f} %"
    return _look_whole(unit, int(value), lang) if int(value) == value else str(value)


def _look_whole(unit: str, value: int, lang: str) -> str:
    if unit == "micro":
        return credits_of(value, lang)
    if unit == "bytes":
        return size_of(value)
    if unit == "ms":
        return f"{value} ms"
    if unit == "at":
        return moment_of(value)
    if unit == "milli":
        return number_of_milli(value)
    return str(value)


def _word(name: str, value: str, lang: str) -> str:
    key = f"{name}.{value}"
    return _texts(lang)[key] if name in WORDS and key in _texts(lang) else value


def _close_gaps(spoken: str) -> str:
    """Close the gap that an empty value leaves before a comma or a stop."""
    return re.sub(r" +([,.;，。；）])", r"\1", re.sub(r" {2,}", " ", spoken)).strip()


def _by_preference(accept_language: str) -> list[str]:
    ranked = []
    for order, part in enumerate(accept_language.split(",")):
        tag, _, options = part.partition(";")
        match = re.search(r"q=([01](?:\.\d+)?)", options)
        weight = float(match.group(1)) if match else 1.0
        name = tag.split(".")[0].strip().replace("_", "-").lower()
        if name and name != "*" and weight > 0:
            ranked.append((-weight, order, name))
    return [name for _, _, name in sorted(ranked)]


@cache
def _texts(lang: str) -> dict[str, str]:
    if lang not in languages():
        raise KeyError(f"no texts in {lang!r}; there are {', '.join(languages())}")
    tree = json.loads((_FOLDER / f"{lang}.json").read_text(encoding="utf-8"))
    return dict(_flat(tree, ""))


def _flat(tree: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found
