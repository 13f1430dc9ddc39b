"""``python -m tests.faults.ledger``: a million ledger operations while their processes die."""

import argparse
import contextlib
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.ledger.plan import Plan
from tests.faults.ledger.running import run_ledger
from tests.support.databases import PostgresServer, binaries

# What the code under test says of processes that die would fill the screen.
logging.disable(logging.CRITICAL)


def main() -> int:
    """Run on each database; 1 when the books are wrong."""
    options = _options()
    is_wrong = False
    for kind in options.databases.split(","):
        with _database(kind) as (url, folder):
            plan = Plan(url, folder, options.seed, options.ops)
            outcome = run_ledger(plan, lambda line, kind=kind: _say(f"{kind}: {line}"))
        rate = outcome.operations / outcome.took_s
        _say(f"{kind}: {outcome.operations} operations in {outcome.took_s:.0f} s, {rate:.0f}/s")
        _say(f"  {outcome.checks} checks on the way, {outcome.acknowledged} acknowledgements")
        for what, number in sorted({**outcome.crashes, **outcome.counts}.items()):
            _say(f"  {number:>10} {what + ' killed' if what in outcome.crashes else what}")
        _say(f"  faults: {outcome.faults or 'none'}")
        is_wrong = is_wrong or bool(outcome.faults)
    return int(is_wrong)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _database(kind: str) -> Iterator[tuple[str, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="intertie-ledger-"))
    server: PostgresServer | None = None
    try:
        if kind == "postgresql":
            found = binaries()
            assert found is not None, "no PostgreSQL here"
            server = PostgresServer(found)
        yield (server.make() if server else f"sqlite:///{folder / 'network.sqlite'}"), folder
    finally:
        if server is not None:
            server.remove()
        shutil.rmtree(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.ledger", description=__doc__)
    parser.add_argument("--ops", type=int, default=1_000_000, help="ledger transactions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--databases", default="sqlite,postgresql")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
