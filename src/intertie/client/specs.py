"""Job specs as people keep them: a file in YAML or JSON, a dictionary, or a `JobSpec`."""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from intertie.client.errors import BadInput, Fault, SpecError, problem_of
from intertie.wire.base import FieldError
from intertie.wire.jobspec import ArraySpec, JobSpec, ResourcesSpec

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound=BadInput)
SpecSource = JobSpec | Mapping[str, Any] | str | Path

SPEC_BYTES_MAX = 4 * 1024 * 1024
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class LoadedSpec:
    """A checked spec and the working folder to be packed and uploaded; None without one."""

    spec: JobSpec
    folder: Path | None = None


def load(source: SpecSource, workdir: str | Path | None = None) -> LoadedSpec:
    """Return a checked spec; raise SpecError that names each wrong field and its fix.

    `workdir` in a file is a folder relative to that file, or the hash of an uploaded one.
    The argument `workdir` takes its place.
    """
    if isinstance(source, JobSpec):
        return LoadedSpec(source, _folder(workdir, Path()))
    if isinstance(source, Mapping):
        return _check(dict(source), Path(), workdir)
    path = Path(source)
    return _check(_read(path), path.parent, workdir)


def read(path: str | Path) -> tuple[dict[str, Any], Path | None]:
    """Return the fields of a spec file, unchecked, and the folder that its `workdir` names."""
    fields = _read(Path(path))
    if not isinstance(fields.get("workdir", ""), str) or _is_hash(fields.get("workdir", "")):
        return fields, None
    return fields, _folder(fields.pop("workdir", ""), Path(path).parent)


def checked(kind: type[M], told: Mapping[str, Any]) -> M:
    """Return a message; raise BadInput that names each wrong field and its fix."""
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        title = "The request is wrong"
        problem = problem_of("bad_request", title, errors=_field_errors(error), status=422)
        raise _with_faults(BadInput(problem), error) from None


def body_of(message: BaseModel) -> dict[str, Any]:
    """Return a message as it is sent: only what was set, by the names of the contract."""
    body: dict[str, Any] = message.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return body


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SPEC_BYTES_MAX:
            raise _wrong(f"{path} is larger than 4 MiB; a spec is a short file")
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise _wrong(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"{path} cannot be read: {error}") from None
    data = _parsed(path, text)
    if not isinstance(data, dict):
        raise _wrong(f"{path} must hold fields such as `command: [python3, train.py]`")
    return data


def _parsed(path: Path, text: str) -> Any:
    try:
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.load(text, Loader=_LOADER)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _wrong(f"{path} is not valid JSON at {where}: {error.msg}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        why = getattr(error, "problem", error)
        raise _wrong(f"{path} is not valid YAML{where}: {why}") from None


def _check(data: dict[str, Any], base: Path, workdir: str | Path | None) -> LoadedSpec:
    named = data.pop("workdir", "")
    if not isinstance(named, str | Path):
        field = FieldError(field="workdir", message=f"name a folder, not {named!r}")
        raise _wrong("", [field])
    if _is_hash(named) and not workdir:
        data["workdir"] = str(named)
    try:
        spec = JobSpec.model_validate(data)
    except ValidationError as error:
        raise _with_faults(_wrong("", _field_errors(error)), error) from None
    folder = "" if _is_hash(named) else named
    return LoadedSpec(spec, _folder(workdir, Path()) or _folder(folder, base))


def _is_hash(named: Any) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", str(named)) is not None


def _folder(named: str | Path | None, base: Path) -> Path | None:
    if not named:
        return None
    folder = base / Path(named).expanduser()
    if not folder.is_dir():
        field = FieldError(field="workdir", message=f"there is no folder {folder}")
        raise _wrong("", [field])
    return folder


def _with_faults(wrong: E, error: ValidationError) -> E:
    wrong.faults = tuple(
        Fault(_where(fault), fault["type"], {**fault.get("ctx", {}), "given": repr(fault["input"])})
        for fault in error.errors(include_url=False)
    )
    return wrong


def _where(fault: Any) -> str:
    return ".".join(str(part) for part in fault["loc"]) or "job"


def _field_errors(error: ValidationError) -> list[FieldError]:
    return [_field_error(fault) for fault in error.errors(include_url=False)]


def _field_error(fault: Any) -> FieldError:
    """Return one fault of pydantic's as a field and its fix."""
    kind, given, context = fault["type"], fault["input"], fault.get("ctx", {})
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "there is no such field" + _meant(str(fault["loc"][-1]))
    elif kind == "string_type":
        message = f'it must be text: write "{given}" in quotes'
    elif kind == "missing":
        message = "it is missing"
    elif kind == "literal_error":
        message = f"it must be {context['expected']}, not {given!r}"
    elif kind in ("list_type", "dict_type", "model_type"):
        form = {"list_type": "a list: [a, b]", "dict_type": "names with values: {A: b}"}
        message = f"it must be {form.get(kind, 'a group of fields')}, not {given!r}"
    elif not message.startswith(("give", "write", "add", "it ")) and kind != "value_error":
        message = f"{message[:1].lower()}{message[1:]}, not {given!r}"
    return FieldError(field=_where(fault), message=message)


def _meant(name: str) -> str:
    known = [*JobSpec.model_fields, *ResourcesSpec.model_fields, *ArraySpec.model_fields]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _wrong(detail: str, errors: list[FieldError] | None = None) -> SpecError:
    return SpecError(problem_of("bad_spec", "The job spec is wrong", detail, errors, status=422))
