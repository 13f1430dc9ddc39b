"""One piece of a comparison: a trace under one policy in one setting, by itself in a process.

`python -m intertie.simulator.piece FOLDER` runs the piece that is written in FOLDER and leaves what
came of it there: how a piece is run on another machine that sees the same files.
"""

import json
import sys
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from intertie.simulator.running import Outcome, Setting
from intertie.simulator.traces.trace import BadTrace

ASKED, ANSWER, COLUMNS = "piece.json", "outcome.json", "jobs.npz"
USE = ("use instants", "use spent")
POLICY, BACKFILL = "policy", "backfill"  # a queue's policies are named by their backfill
YES, NO = "yes", "no"


class UnknownValue(ValueError):
    """What is to be swept, or a value of it, is not known; the message names what is."""


@dataclass(frozen=True)
class Piece:
    """A trace's file, the table of speeds beside it if it needs one, the policy and the setting.

    `label` is what tells it from the others that it is compared with.
    """

    trace: Path
    throughputs: Path | None
    policy: str
    setting: Setting
    label: str


def pieces_of(
    trace: Path,
    throughputs: Path | None,
    policies: list[str],
    setting: Setting,
    sweeps: dict[str, list[str]],
) -> list[Piece]:
    """Return a piece for each policy and each way to choose one value of everything swept."""
    sweeps = {POLICY if name == BACKFILL else name: values for name, values in sweeps.items()}
    names = sweeps.pop(POLICY, policies)
    ways = [dict(zip(sweeps, chosen, strict=True)) for chosen in product(*sweeps.values())]
    return [
        Piece(trace, throughputs, name, _changed(setting, way), _label(name, way))
        for name in dict.fromkeys(names)
        for way in ways
    ]


def run_piece(piece: Piece) -> Outcome:
    """Return the outcome of a piece; BadTrace, OSError or UnknownValue if it cannot be run."""
    from intertie.simulator.policies import policies_for

    trace = _read(piece.trace, piece.throughputs)
    known = policies_for(trace)
    if piece.policy not in known:
        raise UnknownValue(f"{piece.policy!r} is none of {', '.join(known)}")
    return known[piece.policy].run(trace, piece.setting)


@lru_cache(maxsize=1)
def _read(path: Path, throughputs: Path | None) -> Any:
    """Return a trace; pieces of one stand beside each other, so that it is read once for all."""
    from intertie.simulator.traces.reading import read_trace

    return read_trace(path, throughputs)


def write_piece(piece: Piece, folder: Path) -> None:
    """Write a piece where another process finds it, whatever folder that works in."""
    folder.mkdir(parents=True)
    (folder / ASKED).write_text(json.dumps(asdict(piece), default=_whole_path))


def read_outcome(folder: Path) -> Outcome:
    """Return what came of the piece in a folder; BadTrace says why nothing did."""
    told = json.loads((folder / ANSWER).read_text())
    if "error" in told:
        raise BadTrace(told["error"])
    with np.load(folder / COLUMNS) as columns:
        jobs = {name: columns[name] for name in told["jobs"]}
        use = tuple(columns[name] for name in USE) if told["has_use"] else None
        return Outcome(told["measures"], jobs, use)


def main(words: list[str]) -> int:
    """Run the piece in a folder; return 1 if it could not be run, which its answer says too."""
    folder = Path(words[0])
    told = json.loads((folder / ASKED).read_text())
    try:
        outcome = run_piece(_piece(told))
    except (BadTrace, OSError, UnknownValue) as error:
        _answer(folder, {"error": str(error)})
        return 1
    use = dict(zip(USE, outcome.use, strict=True)) if outcome.use else {}
    np.savez(folder / COLUMNS, allow_pickle=False, **outcome.jobs, **use)
    told = {"measures": outcome.measures, "jobs": list(outcome.jobs), "has_use": bool(use)}
    _answer(folder, told)
    return 0


def _whole_path(path: Path) -> str:
    return str(path.resolve())


def _answer(folder: Path, told: dict[str, Any]) -> None:
    """Write the answer at once, whole: whoever waits for the file may read it."""
    draft = folder / f"{ANSWER}.draft"
    draft.write_text(json.dumps(told))
    draft.rename(folder / ANSWER)


def _piece(told: dict[str, Any]) -> Piece:
    kinds = {each.name: str(each.type) for each in fields(Setting)}
    setting = {name: _again(kinds[name], value) for name, value in told["setting"].items()}
    throughputs = _again("Path", told["throughputs"])
    return Piece(Path(told["trace"]), throughputs, told["policy"], Setting(**setting),
                 told["label"])  # fmt: skip


def _again(kind: str, value: Any) -> Any:
    """Return what a value was before it was JSON."""
    if isinstance(value, list):
        return tuple(_again("", each) for each in value)
    return Path(value) if "Path" in kind and value is not None else value


def _label(policy: str, way: dict[str, str]) -> str:
    return " ".join([policy, *(f"{name}={value}" for name, value in way.items())])


def _changed(setting: Setting, way: dict[str, str]) -> Setting:
    told = {each.name: getattr(setting, each.name) for each in fields(setting)}
    may = [name for name, value in told.items() if isinstance(value, int | str)]
    for name, value in way.items():
        if name not in may:
            raise UnknownValue(f"{name!r} is none of {', '.join([POLICY, BACKFILL, *may])}")
        told[name] = _value(name, value, told[name])
    return Setting(**told)


def _value(name: str, value: str, now: int | str) -> int | str:
    if isinstance(now, bool):
        if value not in (YES, NO):
            raise UnknownValue(f"{name} is {YES} or {NO}, not {value!r}")
        return value == YES
    if isinstance(now, int):
        try:
            return int(value)
        except ValueError as error:
            raise UnknownValue(f"{name} is a whole number, not {value!r}") from error
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
