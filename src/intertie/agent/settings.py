"""What the owner tells the agent: one TOML file, checked as a whole before anything starts."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from intertie.wire.base import Message
from intertie.wire.quantities import Bytes, Cpus, Credits, Seconds


class SettingsError(Exception):
    """The settings are wrong; the text names the file, the field and the fix."""


@dataclass(frozen=True)
class AgentSettings:
    """The owner's word. Sizes of 0 are measured; what is lent is never more than what is there.

    `log_bytes_max` is the most that is kept of what one attempt prints.
    `latency_ms` is declared, not measured. `speed_percent` slows every task, and the benchmark
    with it. `benchmark` is ``cached`` or ``again``.
    """

    network: str
    folder: Path
    pool: str
    enrol_token: str = ""
    region: str = "local"
    country: str = ""
    latency_ms: int = 0
    price_micro_per_unit_h: int = 0
    speed_percent: int = 100
    cpus_milli: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    log_bytes_max: int = 256 << 20
    lent_cpus_milli: int = 0
    lent_memory_bytes: int = 0
    grace_s: int = 10
    own_project: str = ""
    projects: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    benchmark: str = "cached"
    is_sandboxed: bool = True
    is_limited: bool = True


class SettingsFile(Message):
    """The keys of the TOML file, in the units that people write."""

    network: Annotated[str, Field(pattern=r"^https?://\S+$")]
    folder: Annotated[str, Field(min_length=1)]
    pool: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w][\w.-]*$")]
    enrol_token: str = ""
    region: str = "local"
    country: str = ""
    latency_ms: Annotated[int, Field(ge=0)] = 0
    price: Credits = 0
    speed_percent: Annotated[int, Field(ge=1, le=100)] = 100
    cpus: Cpus | Literal[0] = 0
    memory: Bytes = 0
    disk: Bytes = 0
    log: Annotated[Bytes, Field(ge=1 << 16, le=1 << 30)] = 256 << 20
    lent_cpus: Cpus | Literal[0] = 0
    lent_memory: Bytes = 0
    grace: Annotated[Seconds, Field(le=3600)] = 10
    own_first: str = ""
    projects: list[str] = []
    datasets: list[str] = []
    benchmark: Literal["cached", "again"] = "cached"
    sandbox: bool = True
    limits: bool = True

    def settings(self, base: Path) -> AgentSettings:
        """Return the settings in whole units; a relative folder is one beside the file."""
        return AgentSettings(
            network=self.network.rstrip("/"),
            folder=(base / Path(self.folder).expanduser()).resolve(),
            pool=self.pool,
            enrol_token=self.enrol_token,
            region=self.region,
            country=self.country,
            latency_ms=self.latency_ms,
            price_micro_per_unit_h=self.price,
            speed_percent=self.speed_percent,
            cpus_milli=self.cpus,
            memory_bytes=self.memory,
            disk_bytes=self.disk,
            log_bytes_max=self.log,
            lent_cpus_milli=self.lent_cpus,
            lent_memory_bytes=self.lent_memory,
            grace_s=self.grace,
            own_project=self.own_first,
            projects=tuple(self.projects),
            datasets=tuple(self.datasets),
            benchmark=self.benchmark,
            is_sandboxed=self.sandbox,
            is_limited=self.limits,
        )


def read_settings(path: Path) -> AgentSettings:
    """Return the settings in a TOML file; raise SettingsError that names what to mend."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: it cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: it is not TOML: {error}") from error
    try:
        return SettingsFile(**data).settings(path.parent)
    except ValidationError as error:
        raise SettingsError(_mend(path, error)) from error


def _mend(path: Path, error: ValidationError) -> str:
    known = ", ".join(SettingsFile.model_fields)
    rows = []
    for each in error.errors():
        field = str(each["loc"][0])
        fix = f"no such setting; there is {known}" if each["type"] == "extra_forbidden" else ""
        fix = fix or ("add it" if each["type"] == "missing" else each["msg"])
        rows.append(f"{path}: {field}: {fix}")
    return "\n".join(dict.fromkeys(rows))
