"""The slow twin of jobs in slices: one job after another, with batch sizes and not with levels.

It follows the published simulator's words: a job has a batch size and a number of iterations, and
asks for another size when an epoch of its pattern says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from intertie.simulator.traces.regimes import CRITICAL, DOUBLING, EPOCHS
from intertie.simulator.traces.sliced import SlicedTrace

RESTART_MS, NEARLY_MS, FAILURES = 20_000, 5_000, 5

Pick = Callable[[list["SlowJob"], int], list[tuple["SlowJob", int]]]


def ceiling(number: int, by: int) -> int:
    return (number + by - 1) // by


@dataclass
class SlowJob:
    row: int
    trace: SlicedTrace
    times: int = 1  # the batch, in batches that it began with
    iterations: int = 0
    iterations_done: int = 0
    wants: int = 1
    served_ms: int = 0
    failures: int = 0
    ran: dict[int, int] = field(default_factory=dict)  # class by slice
    end_ms: int | None = None

    @property
    def level(self) -> int:
        return self.times.bit_length() - 1

    def an_epoch(self, times: int) -> int:
        return int(self.trace.epoch_steps[self.row, times.bit_length() - 1])

    def run(self, number: int, now: int, slice_ms: int, kind: int) -> int:
        speed = int(self.trace.speed_micro[self.row, self.level, kind])
        todo = min(speed * slice_ms // 10**9, self.iterations - self.iterations_done)
        takes = max(todo, 0) * 10**9 // speed
        end = now + takes
        if number > 0 and self.ran.get(number - 1) != kind and takes > slice_ms - NEARLY_MS:
            todo = todo * (takes - RESTART_MS) // takes
            takes -= RESTART_MS
        self.ran[number] = kind
        if todo <= 0 and takes <= 0:
            self.failures += 1
        else:
            self.failures = 0
            self.iterations_done += todo
            self.served_ms += takes
        is_done = self.failures == 0 and self.iterations_done >= self.iterations
        if is_done or self.failures == FAILURES:
            self.end_ms = end
        self._rescale()
        return end

    def _rescale(self) -> None:
        new, old, self.wants = self.wants, self.times, self.times
        if new == old or not self.trace.speed_micro[self.row, new.bit_length() - 1].any():
            return
        before, after = self.an_epoch(old), self.an_epoch(new)
        epochs = ceiling(self.iterations, before)
        scaled = ceiling(self.iterations * old, new)
        self.iterations = scaled if ceiling(scaled, after) == epochs else epochs * after
        self.iterations_done = ceiling(self.iterations_done, before) * after
        self.times = self.wants = new

    def look(self) -> None:
        mode, top = self.trace.mode[self.row], int(self.trace.levels[self.row]) - 1
        epoch = ceiling(self.iterations_done, self.an_epoch(self.times))
        if mode == DOUBLING:
            rises = [rise for rise in self.trace.rises[self.row] if rise <= epoch + 1]
            if self.level < min(len(rises), top):
                self.wants = 2 * self.times
        elif mode == CRITICAL:
            while epoch >= EPOCHS:
                epoch -= 30
            is_critical = self.trace.is_critical[self.row, epoch]
            if is_critical and self.times > 1:
                self.wants = 1
            elif not is_critical and self.times == 1:
                self.wants = 1 << top


def slow_ends(trace: SlicedTrace, pick: Pick, slice_ms: int) -> list[int]:
    """Return when each job ends, where `pick` says who runs on which class in a slice."""
    jobs = [SlowJob(row, trace, iterations=int(trace.steps[row])) for row in range(len(trace))]
    now, number = int(trace.submit_ms[0]), 0
    while any(job.end_ms is None for job in jobs):
        here = [job for job in jobs if trace.submit_ms[job.row] <= now and job.end_ms is None]
        if not here:
            now = min(int(trace.submit_ms[job.row]) for job in jobs if job.end_ms is None)
            continue
        picked = pick(here, now)
        ends = [job.run(number, now, slice_ms, kind) for job, kind in picked]
        now = max(ends, default=now + slice_ms)
        for job in here:
            if job.end_ms is None:
                job.look()
        number += 1
    return [job.end_ms or 0 for job in jobs]
