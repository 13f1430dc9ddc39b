"""Print which task of the grid won: chosen by validation accuracy, reported with test accuracy."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def main(words: list[str] | None = None) -> int:
    """Return the exit status: 0 with a winner printed, 1 when the folder holds no result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what `intertie results` wrote")
    parser.add_argument("--json", action="store_true", help="print the winner as JSON")
    arguments = parser.parse_args(words)
    results = read(arguments.folder)
    if not results:
        print(f"{arguments.folder} holds no result*.json at any depth", file=sys.stderr)
        return 1
    winner = best(results)
    print(json.dumps(winner) if arguments.json else in_words(winner, len(results)))
    return 0


def read(folder: Path) -> list[Result]:
    """Return each result below a folder, in the order of their paths, with where it was found."""
    found = sorted(folder.rglob("result*.json"))
    return [json.loads(path.read_text()) | {"found_at": str(path)} for path in found]


def best(results: list[Result]) -> Result:
    """Return the result with the highest validation accuracy; on a tie the smallest network.

    The test accuracy takes no part: a winner chosen by the test would flatter itself.
    """
    return max(results, key=lambda one: (one["val_accuracy"], -one["hidden"], one["decay"]))


def in_words(winner: Result, count: int) -> str:
    """Return the sentence that a person reads."""
    return (
        f"best of {count}: rate {winner['rate']:g}, hidden {winner['hidden']}, "
        f"decay {winner['decay']:g} · validation {winner['val_accuracy']:.4f} · "
        f"test {winner['test_accuracy']:.4f} (300 images that chose nothing)"
    )


if __name__ == "__main__":
    sys.exit(main())
