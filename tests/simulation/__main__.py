"""``python -m tests.simulation``: run many seeds, and say what happened and what was wrong."""

import argparse
import contextlib
import logging
import sys
import time
from collections import Counter

from tests.simulation.running import run_seeds

# What the code under test says of the faults that it is given would fill the screen.
logging.disable(logging.CRITICAL)


def main() -> int:
    """Run the seeds; 1 when one of them has failed."""
    options = _options()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    begun = time.monotonic()
    counts, faults, failed = Counter[str](), Counter[str](), []
    done = 0
    with contextlib.suppress(KeyboardInterrupt):  # what was done by then is told
        for done, report in enumerate(run_seeds(seeds, options.troubled, options.workers), start=1):
            counts.update(report.counts)
            faults.update(report.faults)
            if report.complaints:
                failed.append(report.seed)
                _say(f"seed {report.seed} FAILED", *report.complaints, sep="\n  ")
                _say("  its last minutes (ms, what):", *report.log, sep="\n    ")
            elif len(seeds) == 1:
                _say(
                    f"seed {report.seed} is well; digest {report.digest}", *report.log, sep="\n    "
                )
            if done % 100 == 0:
                _say(f"{done} of {len(seeds)}")
    took_s = time.monotonic() - begun
    _say(f"{done} of {len(seeds)} seeds in {took_s:.0f} s: {60 * done / took_s:.0f} a minute")
    for title, found in (("counts", counts), ("faults", faults)):
        _say(f"{title}:", *(f"  {n:>10} {what}" for what, n in sorted(found.items())), sep="\n")
    _say(f"failed: {sorted(failed)}" if failed else "failed: none")
    _say(*(f"again: python -m tests.simulation --seeds {seed}" for seed in failed))
    return int(bool(failed))


def _say(*lines: str, sep: str = "\n") -> None:
    sys.stdout.write(sep.join(lines) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-99", help="one seed, or the first and the last: A-B")
    parser.add_argument("--troubled", type=int, default=45, help="troubled seconds in each run")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
