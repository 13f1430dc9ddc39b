"""Frozen values to plain data (what JSON can hold) and back; the one place that does it."""

import dataclasses
import types
import typing
from collections.abc import Hashable
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return dicts, lists, strings and numbers that hold all of a frozen value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return int(value) if isinstance(value, IntEnum) else value


def from_plain(kind: type[T], data: dict[str, Any]) -> T:
    """Return a value of the dataclass `kind`.

    Unknown keys raise, absent ones take their default.
    """
    hints = _hints(typing.cast(Hashable, kind))
    unknown = set(data) - set(hints)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)[0]!r}")
    return kind(**{name: _read(hints[name], item) for name, item in data.items()})


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(hint: Any, item: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if item is None:
            return None
        chosen = [a for a in arguments if a is not type(None)]
        return _read(chosen[0], item) if len(chosen) == 1 else item
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_read(arguments[0], each) for each in item)
        return tuple(_read(a, each) for a, each in zip(arguments, item, strict=True))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, item)
    return item
