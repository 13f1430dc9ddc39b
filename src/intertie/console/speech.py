"""How the console says things: texts by key, and values in the visitor's language and time zone."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

DASH = "–"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


class Text(Protocol):
    """The catalogue's `text`: the text of a key in a language with its values put in."""

    def __call__(self, lang: str, key: str, /, **values: Any) -> str: ...


@dataclass(frozen=True)
class Speech:
    """One visitor's language and time zone, and everything that depends on them."""

    text: Text
    lang: str
    zone: tzinfo | None = None

    def say(self, key: str, **values: Any) -> str:
        """Return one of the console's own texts."""
        return self.text(self.lang, f"console.{key}", **values)

    def word(self, group: str, code: str) -> str:
        """Return the word for a code; a newer network may send one that has no word yet."""
        try:
            return self.text(self.lang, f"{group}.{code}")
        except KeyError:
            return code or DASH

    def words(self, group: str, codes: Sequence[str]) -> str:
        return self.say("list.comma").join(self.word(group, code) for code in codes) or DASH

    def moment(self, at_ms: int | None) -> str:
        """Return an instant as local time to the second; a dash for none."""
        if at_ms is None:
            return DASH
        return self._local(at_ms).strftime("%Y-%m-%d %H:%M:%S")

    def clock(self, key: str) -> str:
        """Return a text that tells whose clock an instant is shown by, such as ``UTC+08:00``."""
        shift = self._local(int(time.time() * 1000)).strftime("%z")
        return self.say(key, zone=f"UTC{shift[:3]}:{shift[3:5]}")

    def _local(self, at_ms: int) -> datetime:
        moment = datetime.fromtimestamp(at_ms / 1000, tz=self.zone)
        return moment if self.zone else moment.astimezone()


def credits_of(micro: int | None) -> str:
    """Return micro-credits as credits, exact, with two decimals at least; a dash for none."""
    if micro is None:
        return DASH
    number = Decimal(micro) / 1_000_000
    decimals = max(2, -int(number.normalize().as_tuple().exponent))
    return f"{number:,.{decimals}f}"


def number_of(value: float | None, decimals: int = 2) -> str:
    """Return a number with at most so many decimals; a dash for none."""
    if value is None:
        return DASH
    written = f"{value:,.{decimals}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def gib_of(size_bytes: int) -> str:
    """Return bytes as a number of GiB."""
    return number_of(size_bytes / 2**30, 3)


def plain_line(line: str) -> str:
    """Return a log line without terminal colours; of what a progress bar overwrote, the last."""
    return _CONTROL.sub("", line.removesuffix("\r").rpartition("\r")[2])


def zone_of(name: str) -> tzinfo | None:
    """Return the time zone that a browser named; None where there is no such zone."""
    if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def negotiate(accept_language: str, languages: Sequence[str]) -> str:
    """Return the language that a browser asks for first among those there are."""
    ranked: list[tuple[float, int, str]] = []
    for order, part in enumerate(accept_language.split(",")):
        tag, _, options = part.partition(";")
        weight = re.search(r"q=([01](?:\.\d+)?)", options)
        ranked.append((-float(weight.group(1)) if weight else -1.0, order, tag.strip().lower()))
    for _, _, tag in sorted(ranked):
        for lang in languages:
            if tag and lang.lower().split("-")[0] == tag.split("-")[0]:
                return lang
    return languages[0]
