"""The slow twins of the kernels of `placement/elastic.py`: tick after tick, in plain lists."""

from dataclasses import dataclass
from fractions import Fraction

HORIZON = 200  # ticks; no instance of the tests needs more


@dataclass
class Asked:
    """One job: what is left, until when, what it does in a tick at each size, its size or -1."""

    left: int
    until: int
    rate: list[int]
    size: int


class SlowPromises:
    """`promise` and `fit` as their specification: what is free at each tick."""

    def __init__(self, capacity: int, units: list[int], start: list[int]) -> None:
        self.free = [capacity] * HORIZON
        self.units, self.start = units, start

    def fit(self, job: Asked) -> int | None:
        """Return its size at tick 0 or -1, and take what it holds; None if it would be late."""
        for most, rate in enumerate(job.rate):
            if rate:
                left = job.left + (rate * self.start[most] if job.size != most else 0)
                sizes = self._sizes(job.rate, most, left, job.until)
                if sizes is not None:
                    return self._take(sizes)
        return None

    def soonest(self, job: Asked) -> int:
        """Return the first tick by which it could be done, whenever that is."""
        for until in range(HORIZON):
            for most, rate in enumerate(job.rate):
                left = job.left + rate * self.start[most]
                if rate and self._sizes(job.rate, most, left, until) is not None:
                    return until
        raise AssertionError("the horizon is too near")

    def _sizes(self, rate: list[int], most: int, left: int, until: int) -> list[int] | None:
        """Return its size at each tick, at most that one, until all is done; None if late."""
        sizes: list[int] = []
        for tick in range(until):
            if left <= 0:
                break
            fitting = [
                size
                for size in range(most + 1)
                if rate[size] and self.units[size] <= self.free[tick]
            ]
            sizes.append(max(fitting, default=-1))
            left -= rate[sizes[-1]] if fitting else 0
        return sizes if left <= 0 else None

    def _take(self, sizes: list[int]) -> int:
        for tick, size in enumerate(sizes):
            if size >= 0:
                self.free[tick] -= self.units[size]
        return sizes[0] if sizes else -1


def slow_grow(
    jobs: list[Asked], units: list[int], start: list[int], share: list[int], room: int
) -> list[int]:
    """Return the sizes that `grow` gives, each step found by looking at all that is possible."""
    share = list(share)

    def held(size: int) -> int:
        return units[size] if size >= 0 else 0

    for at, job in enumerate(jobs):
        if 0 < held(job.size) - held(share[at]) <= room:
            room -= held(job.size) - held(share[at])
            share[at] = job.size
    while True:
        steps: list[tuple[Fraction, int, int]] = []
        for at, job in enumerate(jobs):
            larger = [s for s in range(share[at] + 1, len(units)) if job.rate[s]][:1]
            for size in larger:
                more = held(size) - held(share[at])
                gain = job.rate[size] - (job.rate[share[at]] if share[at] >= 0 else 0)
                first = next(s for s, rate in enumerate(job.rate) if rate)
                worth = Fraction(gain * units[first], more * job.rate[first])
                if more <= room and worth > 0 and job.left >= job.rate[size] * start[size]:
                    steps.append((worth, -at, size))
        if not steps:
            return share
        _, at, size = max(steps)
        room -= held(size) - held(share[-at])
        share[-at] = size
