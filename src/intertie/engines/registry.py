"""Engines by name: our own and those of anybody who installs an entry point `intertie.engines`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from intertie.engines.protocol import Engine

GROUP = "intertie.engines"


class NoSuchEngine(LookupError):
    """No engine of that name is installed; says which are."""


@dataclass(frozen=True)
class EngineSettings:
    """What every engine is told. `folder` holds its attempts and outlives it.

    `table` is the engine's own part of the owner's settings, as it stands in the TOML file; an
    engine raises ValueError that names the key and the fix. Sizes of 0 are found out.
    """

    folder: Path
    grace_s: int = 10
    log_bytes_max: int = 256 << 20
    cpus_milli: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    speed_percent: int = 100
    is_sandboxed: bool = True
    is_limited: bool = True
    table: Mapping[str, Any] = field(default_factory=dict)


Factory = Callable[[EngineSettings], Engine]


def names() -> list[str]:
    """Return the engines that are installed."""
    return sorted({each.name for each in entry_points(group=GROUP)})


def find(name: str) -> Factory:
    """Return what opens an engine of that name."""
    for each in entry_points(group=GROUP, name=name):
        factory: Factory = each.load()
        return factory
    raise NoSuchEngine(f"no engine {name!r} here; there is {', '.join(names())}")
