"""Run one benchmark by its name."""

import argparse
import json
import sys
from collections.abc import Callable

from benchmarks import (
    fairness,
    federation,
    foresight,
    gates,
    idle,
    predictions,
    quality,
    quote_latency,
    replay,
    rounds,
    submit_to_running,
)
from benchmarks.engines import command as engines
from benchmarks.load import command as load
from benchmarks.table import Outcome

ALL: dict[str, tuple[str, Callable[[], Outcome]]] = {
    "submit": (submit_to_running.WHAT, submit_to_running.measure),
    "quote": (quote_latency.WHAT, quote_latency.measure),
    "rounds": (rounds.WHAT, rounds.measure),
}


def main(words: list[str] | None = None) -> int:
    """Return 0 after printing the list or one benchmark's table and figure."""
    words = sys.argv[1:] if words is None else words
    own = {
        "load": load,
        "engines": engines,
        "gates": gates,
        "federation": federation,
        "fairness": fairness,
        "idle": idle,
        "quality": quality,
        "foresight": foresight,
        "predictions": predictions,
        "replay": replay,
    }  # tables with options of their own
    if words and words[0] in own:
        return own[words[0]].main(words[1:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=["list", *ALL])
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    told = parser.parse_args(words)
    if told.name == "list":
        for name, (what, _) in ALL.items():
            print(f"{name:10} {what}")
        for name, table in own.items():
            print(f"{name:10} {table.WHAT}; it has options of its own: {name} --help")
        return 0
    outcome = ALL[told.name][1]()
    print(json.dumps(outcome.as_dict(), indent=2) if told.json else outcome.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
