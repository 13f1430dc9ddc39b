"""What the owner says while the agent runs: small files that the owner writes and it watches."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILE = "owner.json"
LEAVING = "leaving"


@dataclass(frozen=True)
class Lent:
    """What is lent at this instant. `is_reclaimed`: the owner holds a part back for now.

    `device_count` is None where the pool has no devices. `waits_s` is how long a guest would wait
    at the site, by node.
    """

    cpus_milli: int
    memory_bytes: int
    is_reclaimed: bool = False
    device_count: int | None = None
    is_draining: bool = False
    waits_s: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reclaim:
    """An owner's order to lend no more than this until an instant (ms; None: until release)."""

    cpus_milli: int
    memory_bytes: int | None = None
    until: int | None = None


def reclaim(
    folder: Path, cpus_milli: int, seconds: float | None = None, memory_bytes: int | None = None
) -> None:
    """Lend only `cpus_milli` from now on, for so many seconds or until `release`.

    Memory and devices that are lent shrink in the same proportion unless they are given.
    """
    now = int(time.time() * 1000)
    until = None if seconds is None else now + int(seconds * 1000)
    order = {"lent_cpus_milli": cpus_milli, "lent_memory_bytes": memory_bytes, "until": until}
    new = folder / f"{FILE}.{os.getpid()}.new"
    new.write_text(json.dumps(order | {"at": now}))
    new.replace(folder / FILE)


def release(folder: Path) -> None:
    """Lend everything again, as the terms say, and stay."""
    (folder / FILE).unlink(missing_ok=True)
    (folder / LEAVING).unlink(missing_ok=True)


def read_reclaim(folder: Path) -> Reclaim | None:
    """Return the owner's order. A file that is no order counts as none: the terms hold."""
    try:
        order = json.loads((folder / FILE).read_text())
        memory_bytes, until = order.get("lent_memory_bytes"), order.get("until")
        return Reclaim(
            max(0, int(order["lent_cpus_milli"])),
            None if memory_bytes is None else max(0, int(memory_bytes)),
            None if until is None else int(until),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def leave(folder: Path) -> None:
    """Have the agent take nothing new, and leave the network when what runs has run out."""
    (folder / LEAVING).touch(mode=0o600)


def is_leaving(folder: Path) -> bool:
    """Return whether the owner told the agent to leave."""
    return (folder / LEAVING).exists()
