"""`python -m benchmarks federation --traces FOLDER`: ten clusters alone, as one pool, and joined.

FOLDER holds `itp/raw/cluster01.csv` … of Microsoft ITP (69 351 jobs in 60 days). True
lengths, EASY.
*Joined*: each cluster stays itself and its owner's jobs come first there, who take back with grace
what they have lent; latency, data and fair share are switched on, as `benchmarks/itp.toml` says.
A wait is all that a job took beside its own run: queue, grace, data on their way, work done twice.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from intertie.simulator.federation import Fate
from intertie.simulator.joining import Federated, alone, as_one, federated, joined
from intertie.simulator.providers import Providers, read_providers
from intertie.simulator.replay import ReplayPolicy
from intertie.simulator.scoreboard import slowdowns
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import Ints, Trace

WHAT = "ten real clusters alone, as one pool, and joined: how much of the pooling gain is kept"
EASY = ReplayPolicy("easy", is_perfect=True)
PROVIDERS = Path(__file__).parent / "itp.toml"
PARTS = (1, 2, 4)
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Row:
    """One way at one capacity; by job. `lost` is work that guests did twice, of all work."""

    devices: int
    way: str
    wait_mean_s: float
    bsld_mean: float
    kept_wait: float
    kept_bsld: float
    moved: int = 0
    evictions: int = 0
    lost_device_h: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True)
class Home:
    """One provider's own users at one capacity: in seconds, alone and joined.

    `is_kept`: joined, mean and p90 are no more than alone and the grace.
    """

    devices: int
    name: str
    jobs: int
    mean_alone_s: float
    mean_s: float
    p90_alone_s: float
    p90_s: float
    evictions: int
    lost_device_h: float
    is_kept: bool


def measure(folder: Path, parts: tuple[int, ...], seed: int) -> tuple[list[Row], list[Home]]:
    """Return the three ways at each capacity, and all homes of each."""
    rows: list[Row] = []
    homes: list[Home] = []
    for part in parts:
        given = at_part(folder, part, seed)
        apart, pooled, fate = alone(given, EASY), as_one(given, EASY), joined(given, EASY)
        starts = fate.done - given.trace.run_ms
        devices, told = sum(given.capacities), partial(_row, given.trace, apart, pooled)
        rows += [told(devices, "alone", apart), told(devices, "one pool", pooled)]
        rows.append(_with_fate(told(devices, "joined", starts), given, fate))
        homes += [_home(given, home, apart, starts, fate) for home in range(len(given.capacities))]
    return rows, homes


def at_part(folder: Path, part: int, seed: int) -> Federated:
    """Return the ten providers with a `part`-th of their devices."""
    told = read_providers(PROVIDERS)
    fewer = tuple(replace(each, capacity=each.capacity // part) for each in told.providers)
    told = replace(told, providers=fewer, demand=replace(told.demand, seed=seed))
    return federated([read_trace(folder / "itp/raw" / each.trace) for each in fewer], told)


def _row(trace: Trace, apart: Ints, pooled: Ints, devices: int, way: str, starts: Ints) -> Row:
    (wait, bsld), (wait_alone, bsld_alone), (wait_pooled, bsld_pooled) = (
        _means(trace, each) for each in (starts, apart, pooled)
    )
    kept_wait = (wait_alone - wait) / (wait_alone - wait_pooled)
    kept_bsld = (bsld_alone - bsld) / (bsld_alone - bsld_pooled)
    return Row(devices, way, wait, bsld, kept_wait, kept_bsld)


def _with_fate(row: Row, given: Federated, fate: Fate) -> Row:
    lost, work = float(fate.lost.sum()), float((given.trace.run_ms * given.trace.units).sum())
    return replace(
        row,
        moved=int((fate.lent > 0).sum()),
        evictions=int(fate.evictions.sum()),
        lost_device_h=lost / HOUR_MS,
        lost=lost / work,
    )


def _means(trace: Trace, starts: Ints) -> tuple[float, float]:
    """Return the mean wait in seconds and the mean bounded slowdown, by job."""
    wait = float((starts - trace.submit_ms).mean()) / 1000
    return wait, float(slowdowns(trace, starts).mean())


def _home(given: Federated, home: int, apart: Ints, starts: Ints, fate: Fate) -> Home:
    is_own, provider = given.trace.home == home, given.told.providers[home]
    before, after = ((each - given.trace.submit_ms)[is_own] / 1000 for each in (apart, starts))
    means, p90s = [float(x.mean()) for x in (before, after)], np.percentile((before, after), 90, 1)
    return Home(
        devices=sum(given.capacities),
        name=provider.name,
        jobs=int(is_own.sum()),
        mean_alone_s=means[0],
        mean_s=means[1],
        p90_alone_s=float(p90s[0]),
        p90_s=float(p90s[1]),
        evictions=int(fate.evictions[is_own].sum()),
        lost_device_h=float(fate.lost[is_own].sum()) / HOUR_MS,
        is_kept=bool(means[1] - means[0] <= provider.grace_s >= p90s[1] - p90s[0]),
    )


def main(words: list[str]) -> int:
    """Print what was assumed, the ways, all homes, and what of the gain is kept; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks federation", description=WHAT)
    parser.add_argument("--traces", type=Path, required=True, help="the folder with the traces")
    parser.add_argument("--seed", type=int, default=1, help="of what the traces do not say")
    parser.add_argument("--part", type=int, choices=PARTS, help="only a part-th of the devices")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    told = parser.parse_args(words)
    rows, homes = measure(told.traces, (told.part,) if told.part else PARTS, told.seed)
    ours, kept = [row for row in rows if row.way == "joined"], sum(home.is_kept for home in homes)
    least = min(min(row.kept_wait, row.kept_bsld) for row in ours)
    figure = f"joined, {least:.1%} or more of the gain in wait and slowdown is kept; {kept} of"
    figure += f" {len(homes)} homes wait no longer than alone and the grace, mean and p90"
    if told.json:
        shown: dict[str, Any] = {"rows": [asdict(row) for row in rows], "figure": figure}
        print(json.dumps(shown | {"homes": [asdict(home) for home in homes]}, indent=2))
        return 0
    print(_assumed(read_providers(PROVIDERS), told.seed) + "\n")
    _print_rows(rows)
    _print_homes(homes)
    print(figure)
    return 0


def _assumed(told: Providers, seed: int) -> str:
    demand, links, grace_s = told.demand, told.links, told.providers[0].grace_s
    tiers = ", ".join(f"{share:.0%} at most {ms} ms" for ms, share in demand.latency_ms)
    return (
        f"assumed (seed {seed}): round trip to home {tiers}, the others any, at {links.ms_per_km} "
        f"ms/km one way;\n{demand.bound:.0%} of jobs have data that may not leave home; of all "
        f"{demand.moving:.0%} bring {demand.gib[0]}-{demand.gib[1]} GiB (powers of two)\nalong, at "
        f"{links.mbit_per_s} Mbit/s while they hold their devices; grace {grace_s} s; guests save "
        f"each {told.checkpoint_s} s;\nuse halves in {told.half_life_s // 86400} d"
    )


def _print_rows(rows: list[Row]) -> None:
    print(f"{'devices':>8}  {'way':10}{'mean wait (s)':>14}{'mean bsld':>11}", end="")
    print(f"{'kept wait':>11}{'kept bsld':>11}{'moved':>8}{'ended':>7}{'lost (dev-h)':>14}")
    for row in rows:
        print(f"{row.devices:8}  {row.way:10}{row.wait_mean_s:14,.1f}{row.bsld_mean:11.4f}", end="")
        print(f"{row.kept_wait:11.1%}{row.kept_bsld:11.1%}", end="")
        print(f"{row.moved:8}{row.evictions:7}{row.lost_device_h:9,.0f} {row.lost:.2%}")
    print()


def _print_homes(homes: list[Home]) -> None:
    head = ("mean alone", "joined", "p90 alone", "joined")
    print(f"{'devices':>8}  {'home':12}{'jobs':>7}", *(f"{each:>12}" for each in head), end="")
    print(f"{'ended':>7}{'lost (dev-h)':>14}  kept")
    for home in homes:
        print(f"{home.devices:8}  {home.name:12}{home.jobs:7}", end=" ")
        waits = (home.mean_alone_s, home.mean_s, home.p90_alone_s, home.p90_s)
        print(*(f"{each:12,.1f}" for each in waits), end="")
        print(f"{home.evictions:7}{home.lost_device_h:14,.1f}  {'yes' if home.is_kept else 'NO'}")
    print()
