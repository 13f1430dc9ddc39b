"""What every simulated run is given and gives back, whatever the policy and the trace's kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.simulator.traces.trace import Ints

LENGTHS = ("stated", "predicted", "true")
SLICE_MS = 120_000


@dataclass(frozen=True)
class Setting:
    """What a run is given beside its trace; what a policy does not read changes nothing.

    `capacity` is in units, 0 where the trace knows its own. `lengths` says by which run times the
    policy decides. `is_by_event`: a round after each event, else one for all events of an instant.
    `order` is who goes first, where it is not for the policy to say.
    `devices` are how many there are of each class by name, where speeds differ; jobs that take
    turns do so every `slice_ms`.
    `nodes`: a table of the nodes, where the trace does not say on which it ran.
    """

    capacity: int = 0
    lengths: str = "stated"
    is_by_event: bool = True
    seed: int = 0
    devices: tuple[tuple[str, int], ...] = ()
    slice_ms: int = SLICE_MS
    order: str = ""
    nodes: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """A run's measures by name, the unit last, and what became of each job.

    `jobs` are columns by name; axes [job], times in milliseconds. Where jobs stop and go on, `use`
    is (instants, unit-milliseconds spent until each), from the first submission on.
    """

    measures: dict[str, float]
    jobs: dict[str, Ints] = field(default_factory=dict)
    use: tuple[Ints, Ints] | None = None


@dataclass(frozen=True)
class SimulatedPolicy:
    """A policy by its name in the field, the kind of trace that it reads, and its run.

    The run raises BadTrace where the trace cannot be run at all, and is a function of what it is
    given: the same trace and setting give the same outcome, bit by bit.
    """

    name: str
    reads: type[Any]
    run: Callable[[Any, Setting], Outcome]
