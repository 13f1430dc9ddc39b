"""The job spec: what a person writes in YAML or JSON, and the `Request` it becomes."""

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from intertie.model.ids import decode
from intertie.model.images import check_image
from intertie.model.request import Checkpoint, DataReference, Pairs, Request, Resources, Software
from intertie.model.units import GIB, MIB
from intertie.wire.base import Message
from intertie.wire.quantities import Bytes, Cpus, Credits, Moment, Seconds

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w][\w .+@:/-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Ability = Literal["sandbox", "cpu_limit", "memory_limit", "pids_limit", "network_off", "containers"]


class DevicesSpec(Message):
    """Accelerators of one class that one task needs."""

    device_class: Annotated[str, Field(alias="class", min_length=1, max_length=64)]
    count: Annotated[int, Field(ge=1, le=4096)] = 1


class ResourcesSpec(Message):
    """What one task needs at once: cores, memory, devices by class and count, disk."""

    cpus: Cpus = Field(default=1, validate_default=True)
    memory: Annotated[Bytes, Field(ge=MIB)] = 512 * MIB
    disk: Bytes = 1 * GIB
    devices: DevicesSpec | None = None


class SoftwareSpec(Message):
    """What must be installed.

    A stack and a version constraint, a requirements lock, an image by digest.
    """

    stack: Annotated[str, Field(max_length=64)] = ""
    version: Annotated[str, Field(max_length=64, pattern=r"^(([<>=!~]=?|==)?\s*[\w.]+,?\s*)*$")] = (
        ""
    )
    lock: Sha256 | Literal[""] = ""
    image: Annotated[str, Field(max_length=300, pattern=r"^$|^.+@sha256:[0-9a-f]{64}$")] = ""

    @field_validator("image", mode="after")
    @classmethod
    def _of_a_registry(cls, image: str) -> str:
        if image:
            check_image(image)
        return image


class ArraySpec(Message):
    """Many tasks from one spec: a count, a list of values, or a grid of every combination.

    Each task sees its values and INTERTIE_TASK_INDEX as environment variables.
    """

    count: Annotated[int, Field(ge=1, le=100_000)] | None = None
    values: list[dict[str, str | int | float]] = []
    grid: dict[str, list[str | int | float]] = {}

    @model_validator(mode="after")
    def _one_form(self) -> "ArraySpec":
        if sum([self.count is not None, bool(self.values), bool(self.grid)]) != 1:
            raise ValueError("give exactly one of count, values or grid")
        if any(not choices for choices in self.grid.values()):
            raise ValueError("each name in grid needs at least one value")
        return self

    def tasks(self) -> tuple[int, tuple[Pairs, ...]]:
        """Return the number of tasks and the environment that each adds."""
        rows: list[dict[str, Any]] = list(self.values)
        if self.grid:
            rows = [
                dict(zip(self.grid, choice, strict=True)) for choice in product(*self.grid.values())
            ]
        if not rows:
            return self.count or 1, ()
        return len(rows), tuple(tuple((k, str(v)) for k, v in row.items()) for row in rows)


class DataSpec(Message):
    """Data that the job reads. `bound_to` lists the providers it may not leave."""

    name: Name
    size: Bytes = 0
    bound_to: list[Name] = []


class CheckpointSpec(Message):
    """The path below the working folder that holds saved progress, and the time to write it."""

    path: Annotated[str, Field(min_length=1, max_length=300)]
    grace: Annotated[Seconds, Field(le=600)] = 10


class JobSpec(Message):
    """One job. Give `command` (a list) or `script` (text for /bin/sh)."""

    name: Name = "job"
    kind: Literal["batch", "service", "session"] = "batch"
    command: list[str] = []
    script: Annotated[str, Field(max_length=1_000_000)] = ""
    workdir: Sha256 | Literal[""] = ""
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], str] = {}
    software: SoftwareSpec = SoftwareSpec()
    resources: ResourcesSpec = ResourcesSpec()
    array: ArraySpec | None = None
    gang: bool = False
    after: list[str] = []
    time_limit: Annotated[Seconds, Field(ge=1, le=30 * 86_400)] = 3600
    expected: Seconds = 0
    deadline: Moment | None = None
    budget: Annotated[Credits, Field(gt=0)] | None = None
    data: list[DataSpec] = []
    latency_ms_max: Annotated[int, Field(ge=1)] | None = None
    residency: list[Name] = []
    providers: list[Name] = []
    checkpoint: CheckpointSpec | None = None
    results: list[Annotated[str, Field(min_length=1, max_length=300)]] = []
    prices: list[Literal["list", "spot", "reserved", "internal", "grant", "sponsor"]] = ["list"]
    prefer: Literal["cheapest", "soonest"] = "cheapest"
    requires: list[Ability] = []
    network: bool = False
    on_partition: Literal["keep", "move"] = "keep"
    profile: Annotated[str, Field(pattern=r"^[a-z0-9-]+@\d+$")] = "cpu@1"
    priority: Annotated[
        int, Field(ge=-100, le=100, description="among the project's own jobs alone, highest first")
    ] = 0

    @field_validator("results", mode="after")
    @classmethod
    def _stay_inside(cls, paths: list[str]) -> list[str]:
        for path in paths:
            check_inside(path)
        return paths

    @model_validator(mode="after")
    def _one_program(self) -> "JobSpec":
        if bool(self.command) == bool(self.script):
            raise ValueError("give exactly one of command (a list) or script (text)")
        if self.command and not self.command[0].strip():
            raise ValueError("command: its first word, the program, is empty")
        if any("\0" in word for word in [*self.command, self.script, *self.environment.values()]):
            raise ValueError("command, script and environment cannot hold a zero byte")
        if self.checkpoint is not None:
            check_inside(self.checkpoint.path)
        return self

    def to_request(self, quote: int = 0) -> Request:
        """Return the request that this spec means, with every unit written out."""
        task_count, values = self.array.tasks() if self.array else (1, ())
        devices = self.resources.devices
        saved = self.checkpoint
        return Request(
            name=self.name,
            kind=self.kind,
            command=tuple(self.command),
            script=self.script,
            workdir=self.workdir,
            environment=tuple(self.environment.items()),
            software=Software(**self.software.model_dump()),
            resources=Resources(
                cpus_milli=self.resources.cpus,
                memory_bytes=self.resources.memory,
                disk_bytes=self.resources.disk,
                device_class=devices.device_class if devices else "",
                device_count=devices.count if devices else 0,
            ),
            task_count=task_count,
            values=values,
            is_gang=int(self.gang),
            after=tuple(decode("job", job) for job in self.after),
            time_limit_s=self.time_limit,
            expected_s=self.expected,
            deadline_at=self.deadline or 0,
            budget_micro=self.budget or 0,
            data=tuple(DataReference(d.name, d.size, tuple(d.bound_to)) for d in self.data),
            latency_ms_max=self.latency_ms_max or 0,
            residency=tuple(self.residency),
            providers=tuple(self.providers),
            checkpoint=Checkpoint(saved.path, saved.grace) if saved else None,
            results=tuple(self.results),
            price_kinds=tuple(self.prices),
            prefer=self.prefer,
            requires=tuple(self.requires),
            network=int(self.network),
            on_partition=self.on_partition,
            profile=self.profile,
            quote=quote,
            priority=self.priority,
        )


def check_inside(path: str) -> None:
    """Raise ValueError unless a path stays below the working folder."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError(f"{path!r} must be a path below the working folder, without '..'")
