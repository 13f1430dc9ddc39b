"""Profiles: the named, versioned workloads and pinned references that turn device-hours into SU."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("profiles.json")


@dataclass(frozen=True)
class Component:
    """One workload; `reference` is what the reference does of it, in its own units a second."""

    name: str
    weight: int
    reference: int


@dataclass(frozen=True)
class Profile:
    """One version of a profile; a score is the weighted geometric mean of medians ÷ references."""

    name: str
    unit: str
    backend: str
    runs: int
    reference: str
    components: tuple[Component, ...]


def read_profile(name: str) -> Profile:
    """Return a profile by name and version, such as ``cpu@1``; KeyError if there is none."""
    told = _read()[name]
    parts = told["components"].items()
    components = tuple(Component(key, part["weight"], part["reference"]) for key, part in parts)
    return Profile(name, told["unit"], told["backend"], told["runs"], told["reference"], components)


@cache
def _read() -> dict[str, Any]:
    profiles: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return profiles
