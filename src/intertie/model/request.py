"""What a project wants, before it is sized: the document of a job."""

from dataclasses import dataclass

from intertie.model.units import GIB, MIB

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Resources:
    """What one task needs at once."""

    cpus_milli: int = 1000
    memory_bytes: int = 512 * MIB
    disk_bytes: int = 1 * GIB
    device_class: str = ""
    device_count: int = 0


@dataclass(frozen=True)
class Software:
    """A stack with a version constraint such as ``>=3.11``, or an image by digest."""

    stack: str = ""
    version: str = ""
    lock: str = ""
    image: str = ""


@dataclass(frozen=True)
class DataReference:
    """Data a job reads.

    `bound_to` names the providers it may not leave; empty means it may move.
    """

    name: str
    size_bytes: int = 0
    bound_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The file or folder with saved progress, and how long a told job needs to write it."""

    path: str
    grace_s: int = 10


@dataclass(frozen=True)
class Request:
    """One job as asked: the tasks of an array share everything but their `values`.

    `expected_s` is the run time of one task on one reference unit, 0 if unknown. `after` holds
    job numbers. `budget_micro` and `deadline_at` are 0 where there is none. `providers` limits
    the job to those named; empty means any. `priority` is among the project's own jobs alone: the
    higher goes first.
    """

    name: str
    kind: str = "batch"
    command: tuple[str, ...] = ()
    script: str = ""
    workdir: str = ""
    environment: Pairs = ()
    software: Software = Software()
    resources: Resources = Resources()
    task_count: int = 1
    values: tuple[Pairs, ...] = ()
    is_gang: int = 0
    after: tuple[int, ...] = ()
    time_limit_s: int = 3600
    expected_s: int = 0
    deadline_at: int = 0
    budget_micro: int = 0
    data: tuple[DataReference, ...] = ()
    latency_ms_max: int = 0
    residency: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    checkpoint: Checkpoint | None = None
    results: tuple[str, ...] = ()
    price_kinds: tuple[str, ...] = ("list",)
    prefer: str = "cheapest"
    requires: tuple[str, ...] = ()
    network: int = 0
    on_partition: str = "keep"
    profile: str = "cpu@1"
    quote: int = 0
    priority: int = 0
