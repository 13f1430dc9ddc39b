"""`python -m tests.faults --seeds 1-300`: break a small real network in many ways, and judge it.

Goes on where an earlier run of the same folder stopped. A seed that fails prints its plan and
keeps its folder; `--seeds N` runs it again.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.plan import DATABASES, KINDS
from tests.faults.seeds import Runner, Verdict


def main() -> int:
    """Run the seeds; return 0 when every one was clean."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told = _arguments()
    chosen = {"both": lambda _: DATABASES, "turns": lambda seed: (DATABASES[seed % 2],)}
    databases = chosen.get(told.database, lambda _: (told.database,))
    kinds = tuple(told.only.split(",")) if told.only else KINDS
    began = time.monotonic()
    runner = Runner(told.folder, databases, kinds)
    verdicts = runner.run(told.seeds, told.jobs, lambda verdict: _tell(verdict, told.folder))
    _sum_up(verdicts, time.monotonic() - began)
    return 0 if all(verdict.is_clean for verdict in verdicts) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=_range, default=range(1, 301), help="such as 7 or 1-300")
    parser.add_argument("--database", choices=[*DATABASES, "both", "turns"], default="turns")
    parser.add_argument("--jobs", type=int, default=2, help="how many seeds at a time")
    parser.add_argument("--only", default="", help=f"kinds of faults, of {','.join(KINDS)}")
    folder = Path(tempfile.gettempdir()) / "intertie-faults"
    parser.add_argument("--folder", type=Path, default=folder, help="kept between runs")
    return parser.parse_args()


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _tell(verdict: Verdict, folder: Path) -> None:
    word = "clean" if verdict.is_clean else "WRONG"
    notes = f"  ({'; '.join(verdict.notes)})" if verdict.notes else ""
    _say(f"{verdict.database} seed {verdict.seed}: {word} in {verdict.seconds} s{notes}")
    if not verdict.is_clean:
        for wrong in verdict.wrong:
            _say(f"  {wrong}")
        kept = folder / f"{verdict.database}-{verdict.seed}"
        _say(f"  kept in {kept}; its plan:")
        plan = json.loads((kept / "plan.json").read_text())
        for fault in [*plan["faults"], *plan["reclaims"]]:
            _say(f"  {fault}")


def _sum_up(verdicts: list[Verdict], seconds: float) -> None:
    total: Counter[str] = Counter()
    for verdict in verdicts:
        total.update(verdict.counts)
    for name, number in sorted(total.items()):
        _say(f"{number:>9} {name}")
    clean = sum(verdict.is_clean for verdict in verdicts)
    each = sum(verdict.seconds for verdict in verdicts) / max(1, len(verdicts))
    _say(f"{clean} of {len(verdicts)} clean; {each:.1f} s each; this run took {seconds:.0f} s")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
