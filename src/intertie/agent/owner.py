"""The owner's reclaim: one small file that the owner writes and the agent watches."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

FILE = "owner.json"


@dataclass(frozen=True)
class Lent:
    """What the owner lends at this instant. `reclaimed_at` is 0 while nothing is reclaimed."""

    cpus_milli: int
    memory_bytes: int
    reclaimed_at: int = 0


def reclaim(
    folder: Path, cpus_milli: int, seconds: float | None = None, memory_bytes: int | None = None
) -> None:
    """Lend only `cpus_milli` from now on, for so many seconds or until `release`.

    Memory that is lent shrinks in the same proportion unless it is given.
    """
    now = int(time.time() * 1000)
    until = None if seconds is None else now + int(seconds * 1000)
    order = {"lent_cpus_milli": cpus_milli, "lent_memory_bytes": memory_bytes, "until": until}
    new = folder / f"{FILE}.{os.getpid()}.new"
    new.write_text(json.dumps(order | {"at": now}))
    new.replace(folder / FILE)


def release(folder: Path) -> None:
    """Lend everything again, as the terms say."""
    (folder / FILE).unlink(missing_ok=True)


def read_lent(folder: Path, terms: Lent, now: int) -> Lent:
    """Return what is lent at `now`: the terms, or less while the owner reclaims.

    A file that is no order counts as none: the machines stay as the terms say.
    """
    try:
        path = folder / FILE
        order = json.loads(path.read_text())
        made_at = int(path.stat().st_mtime * 1000)
        until = order.get("until")
        cpus_milli = min(terms.cpus_milli, max(0, int(order["lent_cpus_milli"])))
        memory_bytes = order.get("lent_memory_bytes")
        if memory_bytes is None:
            memory_bytes = terms.memory_bytes * cpus_milli // max(1, terms.cpus_milli)
        memory_bytes = min(terms.memory_bytes, max(0, int(memory_bytes)))
        is_over = until is not None and int(until) <= now
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return terms
    return terms if is_over else Lent(cpus_milli, memory_bytes, made_at)
