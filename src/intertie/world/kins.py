"""Kins: jobs that no decision can tell apart but by their age and their money.

Where such a job may run, at which price and for how long is found once for its kin, not for each.
"""

from dataclasses import dataclass, field

from intertie.model.job import Contract, Job, LockedPrice
from intertie.model.request import Request


@dataclass(frozen=True)
class Kin:
    """What a job's promises and constraints depend on.

    `shape` are the parts of the request that eligibility and price read, `request` one such
    request. `is_bound` says that it runs only where its quote says.
    """

    project: int
    is_gang: int
    is_soonest: int
    is_bound: bool
    time_limit_s: int
    limit_micro_per_task: int
    source: str
    expected_s: int
    prices: tuple[LockedPrice, ...]
    shape: tuple[object, ...]
    request: Request = field(compare=False)


def kin_of(job: Job, request: Request, contract: Contract) -> Kin:
    """Return the kin of a job."""
    return Kin(
        project=job.project,
        is_gang=job.is_gang,
        is_soonest=job.is_soonest,
        is_bound=bool(job.quote and not job.budget_micro),
        time_limit_s=job.time_limit_s,
        limit_micro_per_task=job.limit_micro_per_task,
        source=contract.sizing.source,
        expected_s=contract.sizing.expected_s,
        prices=contract.prices,
        shape=shape_of(request),
        request=request,
    )


def shape_of(request: Request) -> tuple[object, ...]:
    """Return the parts of a request that decide which pools can take it, and for what."""
    return (
        request.kind,
        request.resources,
        request.software,
        request.data,
        request.latency_ms_max,
        request.residency,
        request.providers,
        request.price_kinds,
        request.requires,
        request.profile,
    )


class Kins:
    """Every kin that a live job has, by number from 1; one whose last job left is used again."""

    def __init__(self) -> None:
        self.of: list[Kin | None] = [None]
        self._number: dict[Kin, int] = {}
        self._jobs: list[int] = [0]
        self._free: list[int] = []

    def enter(self, kin: Kin) -> int:
        """Count one more job of this kin and return the kin's number."""
        number = self._number.get(kin)
        if number is None:
            if not self._free:
                self._free.append(len(self.of))
                self.of.append(None)
                self._jobs.append(0)
            number = self._free.pop()
            self._number[kin], self.of[number] = number, kin
        self._jobs[number] += 1
        return number

    def leave(self, number: int) -> None:
        """Count one job less; the last one frees the number."""
        self._jobs[number] -= 1
        if not self._jobs[number]:
            del self._number[self.of[number]]  # type: ignore[arg-type]
            self.of[number] = None
            self._free.append(number)
