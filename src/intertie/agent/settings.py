"""What the owner tells the agent: one TOML file, checked as a whole before anything starts."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from intertie.agent.policy import Guests
from intertie.agent.windows import Windows, read_window, read_windows, read_zone
from intertie.client.pinning import PATTERN
from intertie.engines import registry
from intertie.wire.base import Message
from intertie.wire.quantities import Bytes, Cpus, Credits, Seconds, micro_of

SCORE = 1_000_000  # what a score of 1.0 is stored as
Score = Annotated[int, BeforeValidator(micro_of)]


class SettingsError(Exception):
    """The settings are wrong; the text names the file, the field and the fix."""


@dataclass(frozen=True)
class AgentSettings:
    """The owner's word. Sizes of 0 are measured; what is lent is never more than what is there.

    `log_bytes_max` is the most that is kept of what one attempt prints.
    `latency_ms` is declared, not measured. `speed_percent` slows every task, and the benchmark
    with it. `benchmark` is ``cached`` or ``again``. `fingerprint` pins the network's certificate.
    `table` is the engine's own. `score_millionths` is declared; 0 has it measured.
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
    lent_devices: int | None = None
    windows: Windows = field(default_factory=Windows)
    guests: Guests = field(default_factory=Guests)
    grace_s: int = 10
    own_project: str = ""
    datasets: tuple[str, ...] = ()
    benchmark: str = "cached"
    is_sandboxed: bool = True
    is_limited: bool = True
    has_sessions: bool = True
    engine: str = "host"
    table: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    score_millionths: int = 0


def _checked_window(text: str) -> str:
    read_window(text)
    return text


def _checked_zone(name: str) -> str:
    read_zone(name)
    return name


def _checked_engine(name: str) -> str:
    if name not in registry.names():
        raise ValueError(f"no engine {name!r} is installed; there is {', '.join(registry.names())}")
    return name


def _checked_fingerprint(text: str) -> str:
    if text and not PATTERN.fullmatch(text):
        raise ValueError("write sha256: and 64 hexadecimal digits, as the join line shows them")
    return text


class SettingsFile(Message):
    """The keys of the TOML file, in the units that people write."""

    network: Annotated[str, Field(pattern=r"^https?://\S+$")]
    folder: Annotated[str, Field(min_length=1)]
    pool: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w][\w.-]*$")]
    fingerprint: Annotated[str, BeforeValidator(_checked_fingerprint)] = ""
    engine: Annotated[str, BeforeValidator(_checked_engine)] = "host"
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
    lent_devices: Annotated[int, Field(ge=0)] | None = None
    lend: list[Annotated[str, BeforeValidator(_checked_window)]] = []
    time_zone: Annotated[str, BeforeValidator(_checked_zone)] = ""
    grace: Annotated[Seconds, Field(le=3600)] = 10
    own_first: str = ""
    projects: list[str] = []
    not_projects: list[str] = []
    datasets: list[str] = []
    benchmark: Literal["cached", "again"] = "cached"
    score: Annotated[Score, Field(le=1000 * SCORE)] = 0
    sandbox: bool = True
    limits: bool = True
    sessions: bool = True

    @model_validator(mode="after")
    def _agrees(self) -> "SettingsFile":
        read_windows(self.lend, self.time_zone)
        both = sorted(set(self.projects) & set(self.not_projects))
        if both:
            raise ValueError(f"not_projects: {both[0]!r} is in projects too: take it out of one")
        return self

    def settings(self, base: Path, table: Mapping[str, Any]) -> AgentSettings:
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
            lent_devices=self.lent_devices,
            windows=read_windows(self.lend, self.time_zone),
            guests=Guests(tuple(self.projects), tuple(self.not_projects)),
            datasets=tuple(self.datasets),
            benchmark=self.benchmark,
            is_sandboxed=self.sandbox,
            is_limited=self.limits,
            has_sessions=self.sessions,
            engine=self.engine,
            table=table,
            fingerprint=self.fingerprint,
            score_millionths=self.score,
        )


def with_keys(text: str, values: Mapping[str, Any], table: str = "") -> str:
    """Return a settings file's text in which these keys have these values; the rest stays.

    They stand before any table, or in the one that is named; values are plain or `Raw`.
    """
    begin = 0
    if table:
        if not re.search(rf"(?m)^\[{re.escape(table)}\]", text):
            text = f"{text.rstrip()}\n\n[{table}]\n"
        found = re.search(rf"(?m)^\[{re.escape(table)}\].*\n?", text)
        begin = found.end() if found else len(text)
    later = re.search(r"(?m)^\[", text[begin:])
    end = begin + later.start() if later else len(text)
    head = text[begin:end]
    for key, value in values.items():
        said = value if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)
        line, old = f"{key} = {said}", re.search(rf"(?m)^{re.escape(key)}\s*=.*$", head)
        head = head[: old.start()] + line + head[old.end() :] if old else f"{head.rstrip()}\n{line}"
    head = head.strip() + "\n" if head.strip() else ""
    return text[:begin] + head + (f"\n{text[end:]}" if later else "")


class Raw(str):
    """A value as it is written in TOML."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str) -> "Raw":
        """Return a value that somebody typed: TOML if it is, else text."""
        try:
            tomllib.loads(f"x = {text}")
        except tomllib.TOMLDecodeError:
            return cls(json.dumps(text, ensure_ascii=False))
        return cls(text)


def read_settings(path: Path) -> AgentSettings:
    """Return the settings in a TOML file; raise SettingsError that names what to mend."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: it cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: it is not TOML: {error}") from error
    table = _take_table(path, data)
    try:
        return SettingsFile(**data).settings(path.parent, table)
    except ValidationError as error:
        raise SettingsError(_mend(path, error)) from error


def _take_table(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """Take the engine's own table out of the settings; no other engine has one there."""
    engine = data.get("engine", "host")
    tables = {name: data.pop(name) for name in list(data) if isinstance(data[name], dict)}
    table: dict[str, Any] = tables.pop(str(engine), {})
    if tables and engine in registry.names():
        other = sorted(tables)[0]
        fix = f'the engine is {engine!r}: set engine = "{other}", or remove the table'
        raise SettingsError(f"{path}: [{other}]: {fix}")
    return table


def _mend(path: Path, error: ValidationError) -> str:
    known = ", ".join(SettingsFile.model_fields)
    rows = []
    for each in error.errors():
        field_name = str(each["loc"][0]) if each["loc"] else ""
        fix = f"no such setting; there is {known}" if each["type"] == "extra_forbidden" else ""
        told = each["msg"].removeprefix("Value error, ")
        fix = fix or ("add it" if each["type"] == "missing" else told)
        rows.append(": ".join(part for part in (str(path), field_name, fix) if part))
    return "\n".join(dict.fromkeys(rows))
