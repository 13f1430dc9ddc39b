"""Training jobs that are told by their steps: what they do depends on the device they run on.

The `.trace` files of Gavel (github.com/stanford-futuredata/gavel, MIT) and Shockwave
(github.com/uw-mad-dash/shockwave, MIT), tab separated, with a table of measured speeds beside
them. A job of Shockwave's may change its batch size while it learns: see `regimes.py`.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intertie.simulator.traces import regimes
from intertie.simulator.traces.regimes import CRITICAL, DOUBLING, STATIC, Regime
from intertie.simulator.traces.table import opened
from intertie.simulator.traces.trace import BadTrace, Ints, S, checked

# The columns of a line, by how many it has: type, steps, devices, arrival, and mode if it has one.
COLUMNS = {12: (0, 5, 6, 11, 7), 7: (0, 4, 6, 5, None)}
MODES = {"static": STATIC, "gns": DOUBLING, "accordion": CRITICAL}
TYPE = re.compile(r"(?P<model>\S+)(?: \(batch size (?P<batch>\d+)\))?$")
KEY = re.compile(r"\('(?P<type>.*)', (?P<units>\d+)\)$")
MICRO = 1_000_000
ALONE = "null"  # the table's word for a job that shares its devices with nobody

Speeds = dict[str, dict[tuple[str, int], float]]


@dataclass(frozen=True)
class SlicedTrace:
    """Jobs by submission; axes [job], [job, level] or [job, level, class].

    A level is a batch size, the first the one a job begins with and each twice the one before;
    each job has so many `levels`. `steps` are to do at the first, `epoch_steps` make one epoch at
    each, `speed_micro` is in millionths of a step a second, 0 where a job does not run. `mode` and
    `rises` (epochs, in order) say when the level changes, `is_critical[job, epoch]` where it must
    be the first. `is_known` are the levels that a job's profile has, `alone_ms` is what the profile
    takes on the first class.
    """

    classes: tuple[str, ...]
    submit_ms: Ints
    units: Ints
    steps: Ints
    levels: Ints
    epoch_steps: Ints
    speed_micro: Ints
    mode: Ints
    rises: Ints
    is_critical: Ints
    is_known: Ints
    alone_ms: Ints

    def __len__(self) -> int:
        return len(self.submit_ms)


def read_sliced(path: Path, throughputs: Path | None) -> SlicedTrace:
    """Return the jobs of a `.trace` file; BadTrace names the line that cannot be read."""
    if throughputs is None:
        raise BadTrace(f"{path.name} tells steps and not times: add --throughputs FILE")
    speeds = read_speeds(throughputs)
    rows = []
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            rows.append(_row(f"{path.name}:{number}", line.rstrip("\n").split("\t"), speeds))
    if not rows:
        raise BadTrace(f"{path.name}: there is no job in it")
    rows.sort(key=lambda row: int(row["submit_ms"]))
    return SlicedTrace(tuple(speeds), **_columns(rows))


def read_speeds(path: Path) -> Speeds:
    """Return steps a second by (type, devices) of each device class; BadTrace if it is no table."""
    try:
        told = json.loads(path.read_text())
        return {
            kind: {_key(key): float(each[ALONE]) for key, each in by_type.items()}
            for kind, by_type in sorted(told.items(), reverse=True)
            if not kind.endswith("_unconsolidated")
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadTrace(f"{path.name}: no table of throughputs: {error}") from error


def _key(key: str) -> tuple[str, int]:
    found = KEY.match(key)
    if not found:
        raise ValueError(f"{key!r} is not ('type', devices)")
    return found["type"], int(found["units"])


def _row(where: str, words: list[str], speeds: Speeds) -> dict[str, Any]:
    if len(words) not in COLUMNS:
        raise BadTrace(f"{where}: {len(words)} fields, not {' or '.join(map(str, COLUMNS))}")
    kind, steps, devices, arrival, mode = COLUMNS[len(words)]
    told_mode = "static" if mode is None else words[mode]
    found = TYPE.match(words[kind])
    if not found or told_mode not in MODES:
        raise BadTrace(f"{where}: {words[kind]!r}, {told_mode!r} is no type and mode of job")
    try:
        numbers = {"steps": float(words[steps]), "units": float(words[devices])}
        submit = float(words[arrival])
    except ValueError as error:
        raise BadTrace(f"{where}: {error}") from error
    to_do, units, submit_ms = checked(where, **numbers, submit=submit * S)
    model, batch = found["model"], int(found["batch"] or 1)
    regime = regimes.regime_of(MODES[told_mode], model, batch, units, to_do)
    speed = [
        [_speed(speeds, of, model, level, batch, units) for of in speeds]
        for level in regime.batches
    ]
    if not any(speed[0]):
        raise BadTrace(f"{where}: {words[kind]} on {units} devices was never measured")
    return {"submit_ms": submit_ms, "units": units, "steps": to_do, "speed": speed,
            "regime": regime}  # fmt: skip


def _speed(speeds: Speeds, kind: str, model: str, level: int, first: int, units: int) -> int:
    """Return millionths of a step a second; 0 if that was never measured."""
    name = f"{model} (batch size {level})"
    if level == first and (model, units) in speeds[kind]:
        name = model
    return round(speeds[kind].get((name, units), 0.0) * MICRO)


def _columns(rows: list[dict[str, Any]]) -> dict[str, Ints]:
    """Return the rows as columns; levels that a job does not have are all zero."""
    told: list[Regime] = [row["regime"] for row in rows]
    levels = max(len(each.batches) for each in told)
    columns: dict[str, Ints] = {
        name: np.array([row[name] for row in rows], np.int64)
        for name in ("submit_ms", "units", "steps")
    }
    columns["levels"] = np.array([len(each.batches) for each in told], np.int64)
    columns["mode"] = np.array([each.mode for each in told], np.int64)
    columns["epoch_steps"] = _padded([each.epoch_steps for each in told], levels, 1)
    columns["speed_micro"] = np.array(
        [_filled(row["speed"], levels, [0] * len(row["speed"][0])) for row in rows], np.int64
    )
    columns["rises"] = _padded([each.rises for each in told], regimes.RISES, regimes.NEVER)
    columns["is_critical"] = _padded([each.critical for each in told], regimes.EPOCHS, 0)
    columns["is_known"] = np.array(
        [[level in each.profile for level in range(levels)] for each in told], np.int64
    )
    columns["alone_ms"] = np.array(
        [each.alone_ms([level[0] for level in row["speed"]])
         for each, row in zip(told, rows, strict=True)], np.int64
    )  # fmt: skip
    return columns


def _padded(rows: list[tuple[int, ...]], width: int, filler: int) -> Ints:
    return np.array([_filled(list(row), width, filler) for row in rows], np.int64)


def _filled(row: list[Any], width: int, filler: Any) -> list[Any]:
    return (row + [filler] * width)[:width]
