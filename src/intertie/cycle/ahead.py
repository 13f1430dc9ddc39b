"""What one round can tell of the time ahead, found when the first of its rows asks."""

from functools import cached_property

import numpy as np

from intertie.cycle.forecasting import (
    HIGH,
    LIKELY,
    LOW,
    Outlook,
    Starts,
    kept_now,
    look_ahead,
    outlook_of,
    starts_of,
)
from intertie.cycle.relaxing import sooner
from intertie.cycle.scoring import widened
from intertie.model.forecast import Sooner, Start
from intertie.model.policy import Policy
from intertie.model.refusal import Relaxation
from intertie.model.units import MILLI, ceil_div
from intertie.placement.given import LARGEST, Kept
from intertie.world.world import World


class Ahead:
    """A forecast of one World at one instant. `steps` are those that its what-ifs took."""

    def __init__(self, world: World, policy: Policy, now: int) -> None:
        self.world, self.policy, self.now = world, policy, now
        self.steps = 0

    def start_of(self, job: int) -> Start | None:
        """Return when a job is expected to start; None for one that is not in the queue."""
        row = self._rows.get(job)
        if row is None:
            return None
        missed = self.world.documents.get(("missed", self.world.jobs.value(job, "project")))
        return widened(starts_of(self._three, row, self.now), missed, self.now)

    def wait_s(self, job: int) -> int:
        """Return in about how many seconds a job starts; 0 where nobody knows."""
        row = self._rows.get(job)
        likely_ms = LARGEST if row is None else int(self._three[LIKELY].at[row])
        return 0 if likely_ms == LARGEST else max(1, ceil_div(likely_ms, MILLI))

    def position_of(self, job: int) -> int:
        """Return a job's place among those that wait, 1 for the first; 0 when it does not wait."""
        return self._positions.get(job, 0)

    def in_order(self) -> list[int]:
        """Return the jobs that wait, in order of their expected starts; the others as they came."""
        return list(self._positions)

    def kept_for(self) -> tuple[int, int]:
        """Return the job that room is kept for, and until when; 0 where nothing is kept."""
        if self._outlook is None or self._kept.at[0] == LARGEST:
            return 0, 0
        numbers = self._outlook.orders.numbers
        return int(numbers[self._kept.at[1]]), self.now + int(self._kept.at[0])

    def sooner(self, job: int, told: list[Relaxation], steps_max: int) -> Sooner | None:
        """Return the smallest change that would start a job sooner, unless that takes too long."""
        row = self._rows.get(job)
        if row is None or self._outlook is None or steps_max <= 0:
            return None
        start_ms = int(self._three[LIKELY].at[row])
        found, steps = sooner(self.world, self._outlook, row, start_ms, told, self._kept, self.now)
        self.steps += steps
        return found

    @cached_property
    def _outlook(self) -> Outlook | None:
        return outlook_of(self.world, self.policy, self.now)

    @cached_property
    def _rows(self) -> dict[int, int]:
        if self._outlook is None:
            return {}
        return {number: row for row, number in enumerate(self._outlook.orders.numbers.tolist())}

    @cached_property
    def _three(self) -> tuple[Starts, Starts, Starts]:
        assert self._outlook is not None, "somebody waits"
        low, likely, high = (look_ahead(self._outlook, each) for each in (LOW, LIKELY, HIGH))
        return low, likely, high

    @cached_property
    def _kept(self) -> Kept:
        assert self._outlook is not None, "somebody waits"
        return kept_now(self._outlook)

    @cached_property
    def _positions(self) -> dict[int, int]:
        if self._outlook is None:
            return {}
        order = self._three[LIKELY].order
        rest = sorted(set(range(len(self._rows))) - set(order))
        numbers = self._outlook.orders.numbers[np.array([*order, *rest], np.int64)].tolist()
        return {number: at for at, number in enumerate(numbers, start=1)}
