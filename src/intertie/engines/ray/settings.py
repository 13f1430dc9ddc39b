"""The engine's own table of the owner's settings, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.engines.registry import EngineSettings

GPU = "GPU"
ACCELERATOR = "accelerator_type:"
KEYS = ("url", "token_file", "resources", "python", "runtime_env", "passes_on")


@dataclass(frozen=True)
class RaySettings:
    """Where the cluster is, and how it names devices.

    `resources` gives for each device class Ray's name of it: ``GPU``, a custom resource, or
    ``accelerator_type:NAME`` for the GPUs of nodes where Ray found that kind. `passes_on` are more
    variables that Ray sets and jobs may see; its token is not among them unless the owner says so.
    """

    folder: Path
    url: str
    token_file: Path | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    python: str = "python3"
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    passes_on: tuple[str, ...] = ()
    disk_bytes: int = 0
    log_bytes_max: int = 256 << 20
    grace_s: int = 10


def checked(own: EngineSettings) -> RaySettings:
    """Return the settings; ValueError names the key that is wrong and how to put it right."""
    table = dict(own.table)
    for key in table:
        if key not in KEYS:
            raise ValueError(
                f"{key}: no such setting of the ray engine; there is {', '.join(KEYS)}"
            )
    url = _text(table, "url", "")
    if not url.startswith(("http://", "https://")):
        raise ValueError('url: say where Ray\'s dashboard is, as "http://127.0.0.1:8265"')
    token_file = _text(table, "token_file", "")
    if token_file and not Path(token_file).is_file():
        raise ValueError(f"token_file: there is no file {token_file!r}; put Ray's token into it")
    passes_on = table.get("passes_on", [])
    if not isinstance(passes_on, list) or not all(_is_name(each) for each in passes_on):
        raise ValueError('passes_on: give a list of variables, as ["RAY_AUTH_TOKEN"]')
    return RaySettings(
        folder=own.folder,
        url=url.rstrip("/"),
        token_file=Path(token_file) if token_file else None,
        resources=_texts(table, "resources"),
        python=_text(table, "python", "python3"),
        runtime_env=_runtime_env(table),
        passes_on=tuple(passes_on),
        disk_bytes=own.disk_bytes,
        log_bytes_max=own.log_bytes_max,
        grace_s=own.grace_s,
    )


def _text(table: Mapping[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key}: give a text in quotes, not {value!r}")
    return value


def _texts(table: Mapping[str, Any], key: str) -> dict[str, str]:
    value = table.get(key, {})
    if not isinstance(value, Mapping) or not all(_is_name(each) for each in value.values()):
        raise ValueError(f'{key}: give Ray\'s name for each device class, as {{ a100 = "GPU" }}')
    return dict(value)


def _runtime_env(table: Mapping[str, Any]) -> dict[str, Any]:
    value = table.get("runtime_env", {})
    variables = value.get("env_vars", {}) if isinstance(value, Mapping) else None
    if not isinstance(variables, Mapping):
        raise ValueError('runtime_env: give a table as Ray reads it, as { pip = ["numpy"] }')
    return dict(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)
