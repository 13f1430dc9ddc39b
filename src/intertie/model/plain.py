"""Frozen values to plain data (what JSON can hold) and back; the one place that does it."""

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar, cast

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
    readers = _readers(cast(Hashable, kind))
    unknown = data.keys() - readers.keys()
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {min(unknown)!r}")
    return kind(
        **{
            name: item if (read := readers[name]) is None else read(item)
            for name, item in data.items()
        }
    )


Reader = Callable[[Any], Any] | None


@cache
def _readers(kind: Hashable) -> dict[str, Reader]:
    """Return how each field is read; None where it is taken as it is."""
    hints = typing.get_type_hints(cast(type[Any], kind))
    return {name: _reader(hint) for name, hint in hints.items()}


def _reader(hint: Any) -> Reader:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        chosen = [a for a in arguments if a is not type(None)]
        one = _reader(chosen[0]) if len(chosen) == 1 else None
        return None if one is None else lambda item: None if item is None else one(item)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _reader(arguments[0])
        return tuple if each is None else lambda items: tuple(map(each, items))
    if origin is tuple:
        every = [_reader(a) or _same for a in arguments]
        return lambda items: tuple(r(item) for r, item in zip(every, items, strict=True))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return lambda item: from_plain(hint, item)
    return None


def _same(item: Any) -> Any:
    return item
