"""The timing model of the fake engine: when an attempt starts, ends and stops."""

from dataclasses import dataclass

from intertie.model.units import MICRO, MILLI


@dataclass(frozen=True)
class Attempt:
    """One attempt on the fake engine, in ms of its pool's clock."""

    starts_at: int
    ends_at: int
    exit_code: int = 0


def attempt(placed_at: int, work_ms: int, score_millionths: int, startup_ms: int = 100) -> Attempt:
    """Return when work of `work_ms` on a reference unit starts and ends on a unit of this score."""
    starts_at = placed_at + startup_ms
    return Attempt(starts_at, starts_at + work_ms * MICRO // max(1, score_millionths))


def stops_at(stop_at: int, grace_s: int, needs_ms: int = 200) -> int:
    """Return when a well-behaved program is gone after it was asked to stop."""
    return stop_at + min(needs_ms, grace_s * MILLI)
