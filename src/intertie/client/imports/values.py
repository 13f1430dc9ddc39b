"""The values of sbatch's options as whole numbers; ValueError where they cannot be read."""

import re
from dataclasses import dataclass

TASKS_MAX = 100_000
_MIB = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2, "P": 1024**3}
_SIGNALS = re.compile("HUP|INT|QUIT|ABRT|KILL|ALRM|TERM|USR1|USR2|URG|CONT|STOP|TSTP|TTIN|TTOU")


def whole(text: str) -> int:
    """Return a number such as ``8``."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(text)
    return int(text)


def positive(text: str) -> int:
    """Return a number such as ``8``, at least 1."""
    found = whole(text)
    if found < 1:
        raise ValueError(text)
    return found


def nodes(text: str) -> int:
    """Return the least of ``4``, ``2-4`` or ``1k``."""
    match = re.fullmatch(r"(\d{1,7})(k?)(-\d{1,7}k?)?", text, re.IGNORECASE)
    if match is None or int(match[1]) < 1:
        raise ValueError(text)
    return int(match[1]) * (1024 if match[2] else 1)


def mebibytes(text: str) -> int:
    """Return MiB of ``4000``, ``16G`` or ``2048MB``, rounded up; 0 means all there is."""
    match = re.fullmatch(r"(\d{1,12})([KMGTP]?)(B?)", text.upper())
    if match is None or (match[3] and not match[2]):
        raise ValueError(text)
    return int(-(-int(match[1]) * _MIB[match[2]] // 1))


def seconds(text: str) -> int | None:
    """Return seconds of a time limit in any of its forms; None where it is unlimited."""
    if text.lower() in ("unlimited", "infinite", "-1", "0"):
        return None
    if match := re.fullmatch(r"(\d{1,5})-(\d{1,4})(?::(\d{1,4}))?(?::(\d{1,4}))?", text):
        days, *rest = (int(part or 0) for part in match.groups())
        return days * 86_400 + rest[0] * 3600 + rest[1] * 60 + rest[2] or None
    if not re.fullmatch(r"\d{1,7}(:\d{1,4}){0,2}", text):
        raise ValueError(text)
    parts = [int(part) for part in text.split(":")]
    if len(parts) == 3:
        return parts[0] * 3600 + parts[1] * 60 + parts[2] or None
    return parts[0] * 60 + sum(parts[1:]) or None


@dataclass(frozen=True)
class Array:
    """The indexes of an array, in order, each once; `step` as it was written; 0: no throttle."""

    indexes: tuple[int, ...]
    step: int = 1
    at_once: int = 0


class TooMany(ValueError):
    """An array of more tasks than a job may have; its argument is how many."""


def array(text: str) -> Array:
    """Return the indexes of ``0-15``, ``1,3,7``, ``0-100:10%4``."""
    listed, percent, limit = text.strip("[]").partition("%")
    if percent and whole(limit) < 1:
        raise ValueError(text)
    found: set[int] = set()
    step = 1
    for part in listed.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", part)
        if match is None or int(match[2] or match[1]) < int(match[1]) or match[3] == "0":
            raise ValueError(text)
        step = int(match[3] or 1)
        chosen = range(int(match[1]), int(match[2] or match[1]) + 1, step)
        if len(found) + len(chosen) > TASKS_MAX:
            raise TooMany(len(found) + len(chosen))
        found |= set(chosen)
    return Array(tuple(sorted(found)), step, int(limit or 0))


def gpus(text: str) -> tuple[str, int]:
    """Return type and count of ``2``, ``a100`` or ``a100:2``; the type may be empty."""
    name, colon, count = text.rpartition(":")
    if not colon:
        return ("", int(count)) if count.isdigit() else (_type(count), 1)
    return _type(name), whole(count)


def _type(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][\w.-]*", text):
        raise ValueError(text)
    return text.lower()


@dataclass(frozen=True)
class Signal:
    """A signal before the time limit, to the script itself or to its steps."""

    name: str
    before_s: int = 60
    to_script: bool = False


def signal(text: str) -> Signal:
    """Return what ``B:USR1@60``, ``TERM@120`` or ``10`` asks for."""
    match = re.fullmatch(r"([RB]{0,2}:)?([A-Za-z0-9]+)(?:@(\d{1,5}))?", text)
    name = match[2].upper().removeprefix("SIG") if match else ""
    if match is None or not (_SIGNALS.fullmatch(name) or (name.isdigit() and 0 < int(name) < 65)):
        raise ValueError(text)
    return Signal(name, int(match[3] or 60), "B" in (match[1] or ""))
