"""The owner's `[slurm]` table, checked: each error names the key and the fix."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ADDRESS = re.compile(r"^https?://[\w.:\[\]-]+/?$", re.ASCII)
WORD = re.compile(r"^[\w.@+-]+$", re.ASCII)
EXTRA = ("constraint", "exclude", "licenses", "nice", "prefer", "reservation", "wckey")
# What slurmrestd calls them; it takes no --exclude.
REST_EXTRA = {"constraint": "constraints"} | {
    name: name for name in ("licenses", "nice", "prefer", "reservation", "wckey")
}
EXTRA_FORM = re.compile(rf"^--({'|'.join(EXTRA)})=[^\s=-][^\n]*$|^--nice$")


@dataclass(frozen=True)
class SlurmSettings:
    """What the owner says of the cluster.

    No `partitions` means the cluster's default one. `device_classes` says how the network calls a
    GRES type. `extra` are options for every sbatch. `poll_s` is how often the site is asked.
    With `rest`, the address of slurmrestd, it is asked there with the token in `token_file`.
    """

    partitions: tuple[str, ...] = ()
    account: str = ""
    qos: str = ""
    conf: str = ""
    rest: str = ""
    token_file: str = ""
    python: str = "/usr/bin/python3"
    extra: tuple[str, ...] = ()
    poll_s: float = 2.0
    own_jobs_first: bool = True
    device_classes: Mapping[str, str] = field(default_factory=dict)


def read_table(table: Mapping[str, Any]) -> SlurmSettings:
    """Return the settings of a table; ValueError names the key that is wrong and the fix."""
    unknown = sorted(set(table) - set(READERS))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such setting; there is {', '.join(sorted(READERS))}")
    known = {key: READERS[key](key, value) for key, value in table.items()}
    settings = SlurmSettings(**known)
    if settings.rest:
        _check_rest(settings)
    return settings


def _check_rest(settings: SlurmSettings) -> None:
    if not settings.token_file:
        raise ValueError("token_file: rest wants one; put what `scontrol token` says into a file")
    for option in settings.extra:
        if option.removeprefix("--").partition("=")[0] not in REST_EXTRA:
            raise ValueError(f"extra: slurmrestd takes no {option!r}; leave it out, or leave rest")


def _word(key: str, value: Any) -> str:
    if not isinstance(value, str) or not WORD.match(value):
        raise ValueError(f"{key}: {value!r} is no name that Slurm knows; give one word")
    return value


def _words(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f'{key}: give a list of names, such as ["main"]')
    return tuple(_word(key, each) for each in value)


def _file(key: str, value: Any) -> str:
    if not isinstance(value, str) or not Path(value).is_file():
        raise ValueError(f"{key}: there is no file {value!r} here; give the path of one")
    return value


def _address(key: str, value: Any) -> str:
    if not isinstance(value, str) or not ADDRESS.match(value):
        raise ValueError(f'{key}: say where slurmrestd is, as "http://127.0.0.1:6820"')
    return value.rstrip("/")


def _program(key: str, value: Any) -> str:
    if not isinstance(value, str) or not Path(value).is_absolute() or "\n" in value:
        raise ValueError(f"{key}: give the full path of Python 3.9 or newer on the nodes")
    return value


def _options(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f'{key}: give a list of options, such as ["--constraint=ib"]')
    for each in value:
        if not isinstance(each, str) or not EXTRA_FORM.match(each):
            allowed = ", ".join(f"--{name}=…" for name in EXTRA)
            raise ValueError(f"{key}: {each!r} cannot be passed on; there is {allowed}")
    return tuple(value)


def _seconds(key: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.1 <= value <= 600:
        raise ValueError(f"{key}: {value!r} is no number of seconds from 0.1 to 600")
    return float(value)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{key}: {value!r} is neither true nor false")
    return value


def _classes(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f'{key}: give a table, such as {{a100 = "a100-80g-sxm"}}')
    return {_word(key, kind): _word(key, name) for kind, name in value.items()}


READERS: dict[str, Callable[[str, Any], Any]] = {
    "partitions": _words,
    "account": _word,
    "qos": _word,
    "conf": _file,
    "rest": _address,
    "token_file": _file,
    "python": _program,
    "extra": _options,
    "poll_s": _seconds,
    "own_jobs_first": _flag,
    "device_classes": _classes,
}
