"""The providers of a simulated network, as people write them: a file in TOML.

checkpoint_s = 1800            # guests save so often; 0: never
half_life_s = 604800           # of the use that fair share counts
[links]
ms_per_km = 0.005              # one way, along the great circle
mbit_per_s = 10000             # what the data of one job travel at
[demand]                       # what traces do not say of a job, drawn by seed
seed = 1
bound = 0.1                    # share of jobs whose data may not leave home
moving = 0.5                   # share of the others that bring data along
gib = [1, 512]                 # how much, of powers of two
latency_ms = [[10, 0.1]]       # the longest round trip to home, and for which share
requeueable = 1.0              # share of jobs that may be ended and start again
[[provider]]
name = "wuhu"
trace = "cluster03.csv"        # whose users' jobs; beside this file, or as given
capacity = 512
lat = 31.35
lon = 118.43
grace_s = 30                   # what guests are given when the owner takes back
windows = ["20:00-08:00"]      # when guests may come, by the trace's clock; none: always
price_per_unit_h = 0           # the least that a guest pays, in credits
pays_per_unit_h = 1            # the most that its own users pay elsewhere; not given: any price
"""

import tomllib
from dataclasses import MISSING, dataclass, fields
from math import asin, ceil, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any, TypeVar

from intertie.model.links import Link
from intertie.simulator.traces.trace import BadTrace

EARTH_KM = 6371
DAY_MIN = 24 * 60


@dataclass(frozen=True)
class Provider:
    """One provider: its cluster, its own users' trace, where it is, and the terms it lends at."""

    name: str
    trace: str
    capacity: int
    lat: float = 0.0
    lon: float = 0.0
    grace_s: int = 30
    windows: tuple[str, ...] = ()
    lent: int | None = None
    price_per_unit_h: float = 0.0
    pays_per_unit_h: float | None = None

    def hours(self) -> list[tuple[int, int]]:
        """Return when guests may come, as minutes of the day; an end may be on the next day."""
        return [_window(words, self.name) for words in self.windows]


@dataclass(frozen=True)
class Links:
    """How latency grows with distance, and how fast data travel."""

    ms_per_km: float = 0.005
    mbit_per_s: int = 10_000

    def between(self, one: Provider, other: Provider) -> Link:
        """Return the link between two providers; there and back, in whole milliseconds."""
        there_and_back = ceil(2 * self.ms_per_km * distance_km(one, other))
        return Link(one.name, other.name, there_and_back, self.mbit_per_s)


@dataclass(frozen=True)
class Demand:
    """What traces do not say of a job; shares are of all jobs, drawn by seed."""

    seed: int = 1
    bound: float = 0.0
    moving: float = 0.0
    gib: tuple[int, int] = (1, 512)
    latency_ms: tuple[tuple[int, float], ...] = ()
    requeueable: float = 1.0


@dataclass(frozen=True)
class Providers:
    """All that the file says."""

    providers: tuple[Provider, ...]
    links: Links = Links()
    demand: Demand = Demand()
    checkpoint_s: int = 1800
    half_life_s: int = 7 * 24 * 3600


def read_providers(path: Path) -> Providers:
    """Return what the file says; BadTrace names what cannot be read, OSError why nothing can be."""
    try:
        told = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadTrace(f"{path.name}: {error}") from error
    try:
        providers = tuple(_made(Provider, each) for each in told.pop("provider", []))
        links, demand = _made(Links, told.pop("links", {})), _made(Demand, told.pop("demand", {}))
        found = _made(Providers, told | {"providers": providers, "links": links, "demand": demand})
        _check(found)
    except (TypeError, ValueError) as error:
        raise BadTrace(f"{path.name}: {error}") from error
    return found


def distance_km(one: Provider, other: Provider) -> float:
    """Return the great circle between two places, in kilometres."""
    lat, lon, to_lat, to_lon = map(radians, (one.lat, one.lon, other.lat, other.lon))
    half = sin((to_lat - lat) / 2) ** 2 + cos(lat) * cos(to_lat) * sin((to_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(half))


T = TypeVar("T")


def _made(kind: type[T], told: dict[str, Any]) -> T:
    """Return one part of the file; ValueError names a word that it does not have, or lacks."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(told.keys() - known.keys()):
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(known)}")
    needed = [name for name, field in known.items() if field.default is MISSING]
    if missing := [name for name in needed if name not in told]:
        raise ValueError(f"a {kind.__name__.lower()} needs {missing[0]}")
    return kind(**{name: _plain(value) for name, value in told.items()})


def _plain(value: Any) -> Any:
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def _check(found: Providers) -> None:
    """Raise ValueError with the first thing that makes no sense."""
    demand = found.demand
    shares = {"bound": demand.bound, "moving": demand.moving, "requeueable": demand.requeueable}
    shares["latency_ms"] = sum(share for _, share in demand.latency_ms)
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is a share of {share:g}; it must be from 0 to 1")
    if not found.providers:
        raise ValueError("there is no [[provider]]")
    names = [provider.name for provider in found.providers]
    if len(set(names)) < len(names):
        raise ValueError("two providers have one name")
    if not 1 <= demand.gib[0] <= demand.gib[1] or found.links.mbit_per_s < 1:
        raise ValueError("data need at least 1 GiB and 1 Mbit/s")
    for provider in found.providers:
        provider.hours()
        if provider.capacity < 1 or provider.grace_s < 0:
            raise ValueError(f"{provider.name}: capacity is at least 1, grace_s at least 0")


def _window(words: str, name: str) -> tuple[int, int]:
    try:
        begin, end = (
            int(hour) * 60 + int(minute)
            for hour, minute in (part.split(":") for part in words.split("-"))
        )
    except ValueError as error:
        raise ValueError(f"{name}: a window is HH:MM-HH:MM, not {words!r}") from error
    if not (0 <= begin < DAY_MIN and 0 <= end <= DAY_MIN):
        raise ValueError(f"{name}: a day has no {words!r}")
    return begin, end if end > begin else end + DAY_MIN
