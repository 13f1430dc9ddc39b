"""The program of `cpu@1`, version 1: three kinds of fixed work, three runs each, on one core.

Stand-alone, standard library only; it runs where jobs run. The last line it prints is JSON: for
each component the work units a second of every run, on the wall's clock and on its own CPU's. A
component whose result is wrong is left out.
"""

import json
import sys
import time
import zlib
from collections.abc import Callable
from hashlib import sha256

RUNS = 3
NANO = 1_000_000_000


def integers() -> tuple[int, int]:
    """Return work units and a check: whole numbers and a dictionary, a program's own logic."""
    count, x = 450_000, 12_345
    seen: dict[int, int] = {}
    for _ in range(count):
        x = (x * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        seen[x & 0xFFF] = seen.get(x & 0xFFF, 0) + (x >> 16)
    return count, sum(seen.values()) & 0xFFFFFF


def bytes_() -> tuple[int, int]:
    """Return work units and a check: hashing and compression, the C code under a program."""
    rounds = 75
    block = b"".join(sha256(i.to_bytes(4, "big")).digest() for i in range(1024)) * 2
    found = sha256()
    for i in range(rounds):
        found.update(sha256(block).digest() + zlib.compress(block[i * 100 :], 6)[-4:])
    return rounds * len(block), int.from_bytes(found.digest()[:3], "big")


def floats() -> tuple[int, int]:
    """Return work units and a check: a matrix product in plain loops."""
    size = 130
    a = [[(i * j % 7) / 7 for j in range(size)] for i in range(size)]
    b = [[(i + j) % 5 / 5 for j in range(size)] for i in range(size)]
    total = 0.0
    for row in a:
        for j in range(size):
            cell = 0.0
            for k in range(size):
                cell += row[k] * b[k][j]
            total += cell
    return size**3, round(total)


# Each with the check that its result must have.
COMPONENTS: dict[str, tuple[Callable[[], tuple[int, int]], int]] = {
    "integers": (integers, 6_124_628),
    "bytes": (bytes_, 7_484_013),
    "floats": (floats, 320_327),
}


def main() -> int:
    """Print every component's runs, by the clock on the wall and by CPU time; return 0."""
    told: dict[str, dict[str, list[int]]] = {}
    for name, (work, check) in COMPONENTS.items():
        wall, cpu = [], []
        for _ in range(RUNS):
            begun, used = time.perf_counter_ns(), time.process_time_ns()
            units, result = work()
            wall.append(units * NANO // max(1, time.perf_counter_ns() - begun))
            cpu.append(units * NANO // max(1, time.process_time_ns() - used))
            if result != check:
                break
        else:
            told[name] = {"wall": wall, "cpu": cpu}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
