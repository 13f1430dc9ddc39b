"""Prediction from history as its specification: what `planner/predicting.py` does."""

from collections import defaultdict
from typing import Any

from intertie.planner.logarithms import exp2, log2


class SlowForesight:
    """`history` as its specification: dictionaries, and Python's own integers."""

    def __init__(self) -> None:
        self.known: dict[Any, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.missed = [1 if at in (104, 128, 152) else 0 for at in range(256)]

    def foresee(self, user: int, units: int, limit: int) -> list[int]:
        """Return (low, likely, high), and keep what was in the middle."""
        self.centre = None
        weight, total = self.known["all"]
        if not weight:
            return [limit] * 3
        mean = total // weight
        for each in self.classes(user, units, limit)[1:]:
            weight, total = self.known[each]
            mean = (total + 4_000_000 * mean) // (weight + 4_000_000)
        self.centre = mean + int(log2(max(1000, limit)))
        found = []
        for part in (100_000, 500_000, 900_000):
            misses = [at for at, count in enumerate(self.missed) for _ in range(count)]
            at = misses[-(-len(misses) * part // 1_000_000) - 1]
            found.append(
                min(limit, int(exp2(min(43 * 1024, max(0, self.centre + (at - 128) * 128)))))
            )
        return found

    def learn(self, user: int, units: int, limit: int, ran: int) -> None:
        ended = int(log2(max(1000, ran)))
        if self.centre:
            self.missed[min(255, max(0, 128 + (ended - self.centre + 64) // 128))] += 1
        for each in self.classes(user, units, limit):
            weight, total = self.known[each]
            more = (ended - int(log2(max(1000, limit)))) * 1_000_000
            self.known[each] = (
                weight * 950_000 // 1_000_000 + 1_000_000,
                total * 950_000 // 1_000_000 + more,
            )

    def classes(self, user: int, units: int, limit: int) -> tuple[Any, ...]:
        return "all", ("limit", limit), user, (user, limit), (user, limit, units)
