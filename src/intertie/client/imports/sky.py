"""A SkyPilot task file as a job spec: resources, setup, run, envs and num_nodes of it hold here."""

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from intertie.client.imports import body
from intertie.client.imports.images import image_named
from intertie.client.imports.notes import Imported, Level, Notes
from intertie.client.imports.wrapper import written

GIB = 1 << 30
BASH = ["/bin/bash"]
_OWN = {"run", "setup", "num_nodes", "envs", "secrets", "file_mounts"}
_SPEC = {"command", "script"}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(GI?B?|MI?B?|TI?B?)?(\+?)", re.IGNORECASE)
_NAME = re.compile(r"[^\w .+@:/-]")
_SCALE = {"": 1.0, "G": 1.0, "M": 1 / 1024, "T": 1024.0}
# What a field becomes when nothing here reads it.
_FIELDS: dict[str, tuple[Level, str]] = {
    "service": ("unmet", "sky_service"),
    "event_callback": ("unmet", "sky_events"),
    "file_mounts": ("unmet", "sky_mounts"),
    "storage_mounts": ("unmet", "sky_mounts"),
    "volumes": ("unmet", "sky_mounts"),
    "resources.cloud": ("unmet", "sky_cloud"),
    "resources.zone": ("unmet", "sky_cloud"),
    "resources.instance_type": ("unmet", "sky_instance"),
    "resources.use_spot": ("unmet", "sky_spot"),
    "resources.spot_recovery": ("kept", "begun_again"),
    "resources.job_recovery": ("kept", "begun_again"),
    "resources.ports": ("unmet", "sky_ports"),
    "resources.autostop": ("kept", "sky_autostop"),
}
_SETUP = """\
/bin/bash "$INTERTIE_SBATCH/setup" || exit
"""
_RUN = """\
exec /bin/bash "$INTERTIE_SBATCH/run"
"""
_PLACE = """\
#!/bin/sh
# A SkyPilot task, as `intertie run` brought it.
export INTERTIE_SBATCH="$PWD/.intertie/sky" SKYPILOT_NODE_RANK="${INTERTIE_TASK_INDEX:-0}"
export SKYPILOT_TASK_ID="$INTERTIE_JOB"
mkdir -p "$INTERTIE_SBATCH" || exit 1
"""


def is_sky(fields: Any) -> bool:
    """Return whether the fields of a file are those of a SkyPilot task, not of a job spec."""
    return isinstance(fields, dict) and bool(_OWN & set(fields)) and not _SPEC & set(fields)


def from_sky(text: str, name: str = "sky", variables: Mapping[str, str] | None = None) -> Imported:
    """Return the job spec that a SkyPilot task file means, with a note on everything it asks for.

    `name` is the job's unless the file names it. `variables` are the values of envs and secrets
    that the file leaves open. Raise SpecError for a file that is no task.
    """
    notes = Notes()
    fields = _parsed(text, notes)
    resources = _first_choice(_group(fields, "resources", notes), notes)
    nodes = _nodes(fields, notes)
    spec: dict[str, Any] = {"name": _name(fields.get("name"), name, notes)}
    spec["resources"] = _resources(resources, notes)
    spec["environment"] = _environment(fields, variables or {}, notes)
    devices = spec["resources"].get("devices", {}).get("count", 0)
    spec["environment"] |= {
        "SKYPILOT_NUM_NODES": str(nodes),
        "SKYPILOT_NUM_GPUS_PER_NODE": str(devices),
    }
    if nodes > 1:
        spec |= {"array": {"count": nodes}, "gang": True}
    spec |= _places(resources, notes)
    spec["script"], needs_network = _script(fields, notes)
    if needs_network:
        spec["network"] = True
    notes.note("changed", "time_limit", "sky_time", limit_s=3600)
    workdir = _workdir(fields, notes)
    for field in fields:
        if field in _FIELDS or field not in _READ:
            _tell(field, fields[field], notes)
    notes.check()
    return Imported(spec=spec, notes=notes.taken, workdir=workdir)


_READ = {"name", "resources", "num_nodes", "envs", "secrets", "setup", "run", "workdir"}
_READ_OF_RESOURCES = {
    "cpus", "memory", "accelerators", "disk_size", "image_id", "region", "infra",
    "any_of", "ordered",
}  # fmt: skip


def _parsed(text: str, notes: Notes) -> dict[str, Any]:
    try:
        found = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        notes.wrong("task", "import_not_yaml", why=" ".join(str(error).split()))
        found = []
    if len(found) > 1:
        notes.wrong("task", "import_sky_many")
    elif not notes.errors and not (found and isinstance(found[0], dict)):
        notes.wrong("task", "import_sky_fields", given=repr(found[0] if found else text[:40]))
    notes.check()
    if not any(found[0].get(key) for key in ("run", "setup")):
        notes.wrong("run", "import_sky_no_run")
    notes.check()
    return {str(key): value for key, value in found[0].items()}


def _group(fields: Mapping[str, Any], name: str, notes: Notes) -> dict[str, Any]:
    found = fields.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        notes.wrong(name, "import_sky_group", given=repr(found))
        return {}
    return {str(key): value for key, value in found.items()}


def _first_choice(resources: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Return resources with the first of several choices; the others are noted."""
    for field in ("any_of", "ordered"):
        choices = resources.get(field)
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            resources = resources | choices[0]
            for other in choices[1:]:
                notes.note("unmet", _written(f"resources.{field}", other), "sky_choice")
    return resources


def _nodes(fields: Mapping[str, Any], notes: Notes) -> int:
    nodes = fields.get("num_nodes", 1)
    if not isinstance(nodes, int) or isinstance(nodes, bool) or nodes < 1:
        notes.wrong("num_nodes", "import_sky_nodes", given=repr(nodes))
        return 1
    if nodes > 1:
        notes.note("kept", f"num_nodes: {nodes}", "sky_gang", nodes=nodes)
        notes.note("unmet", "SKYPILOT_NODE_IPS", "sky_addresses")
    elif "num_nodes" in fields:
        notes.note("kept", "num_nodes: 1", "one_machine")
    return nodes


def _name(asked: Any, name: str, notes: Notes) -> str:
    wanted = str(asked or name)
    usable = _NAME.sub("-", wanted)[:100]
    usable = usable if re.match(r"\w", usable) else f"job{usable}"[:100]
    if asked and usable == wanted:
        notes.note("kept", f"name: {asked}", "name")
    elif asked:
        notes.note("changed", f"name: {asked}", "name_mended", name=usable)
    return usable


def _resources(asked: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    cpus = _amount(asked, "cpus", notes)
    memory = _amount(asked, "memory", notes)
    disk = _amount(asked, "disk_size", notes)
    found: dict[str, Any] = {"cpus": math.ceil(cpus) if cpus else 1}
    if cpus:
        notes.note("kept", _written("cpus", asked["cpus"]), "cpus", cpus=found["cpus"])
    else:
        notes.note("changed", "cpus", "cpus_guessed", cpus=1)
    size = int(memory * GIB) if memory else found["cpus"] * GIB
    found["memory"] = size
    if memory:
        notes.note("kept", _written("memory", asked["memory"]), "memory", memory_bytes=size)
    else:
        notes.note("changed", "memory", "memory_guessed", memory_bytes=size)
    if disk:
        found["disk"] = int(disk * GIB)
        told = {"disk_bytes": found["disk"]}
        notes.note("kept", _written("disk_size", asked["disk_size"]), "disk", **told)
    if devices := _devices(asked.get("accelerators"), notes):
        found["devices"] = devices
    for field, value in asked.items():
        if field not in _READ_OF_RESOURCES:
            _tell(f"resources.{field}", value, notes)
    return found


def _amount(asked: Mapping[str, Any], field: str, notes: Notes) -> float:
    """Return a number such as ``4``, ``4+`` or ``16GB`` (in GB where it is a size); 0 if none."""
    value = asked.get(field)
    if value is None:
        return 0
    match = None if isinstance(value, bool) else _AMOUNT.fullmatch(str(value).strip())
    if match is None or (field == "cpus" and match[2]) or float(match[1]) <= 0:
        notes.wrong(f"resources.{field}", "import_sky_amount", given=repr(value))
        return 0
    return float(match[1]) * _SCALE[(match[2] or "")[:1].upper()]


def _devices(asked: Any, notes: Notes) -> dict[str, Any]:
    """Return device class and count; of several choices the first is taken."""
    if asked is None:
        return {}
    rows = list(asked.items()) if isinstance(asked, dict) else asked
    if isinstance(asked, set):
        rows = sorted(asked)
    choices = [_device(row) for row in (rows if isinstance(rows, list) else [rows])]
    if not choices or None in choices:
        notes.wrong("resources.accelerators", "import_sky_devices", given=repr(asked))
        return {}
    named = [choice for choice in choices if choice]
    (kind, count), others = named[0], named[1:]
    whole = max(1, math.ceil(count))
    level: Level = "kept" if whole == count else "changed"
    notes.note(level, f"accelerators: {kind}:{count:g}", "devices", kind=kind, count=whole)
    for other, number in others:
        notes.note("unmet", f"accelerators: {other}:{number:g}", "sky_choice")
    return {"class": kind, "count": whole}


def _device(row: Any) -> tuple[str, float] | None:
    name, count = row if isinstance(row, tuple) else (str(row).partition(":")[::2])
    count = 1 if count in ("", None) else count
    try:
        number = float(count)
    except (TypeError, ValueError):
        return None
    is_name = re.fullmatch(r"[A-Za-z][\w.-]*", str(name)) is not None
    return (str(name).lower(), number) if is_name and number > 0 else None


def _environment(
    fields: Mapping[str, Any], variables: Mapping[str, str], notes: Notes
) -> dict[str, str]:
    found: dict[str, str] = {}
    for group in ("envs", "secrets"):
        for name, value in _group(fields, group, notes).items():
            told = variables.get(name) if value is None else str(value)
            if told is None:
                notes.note("unmet", f"{group}.{name}", "not_set", name=name)
                continue
            found[name] = told
            if group == "envs":
                notes.note("kept", f"envs.{name}", "exported", name=name)
            else:
                notes.note("changed", f"secrets.{name}", "sky_secret", name=name)
    return found


def _places(asked: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Return residency and image."""
    found: dict[str, Any] = {}
    region = asked.get("region")
    cloud, *below = str(asked.get("infra") or "").split("/")
    if cloud and cloud != "*":
        notes.note("unmet", _written("infra", asked["infra"]), "sky_cloud")
    region = region or (below[0] if below and below[0] != "*" else None)
    if region:
        found["residency"] = [str(region)]
        notes.note("kept", f"region: {region}", "sky_region", region=str(region))
    if image := asked.get("image_id"):
        if name := image_named(str(image)):
            found["software"] = {"image": name}
            notes.note("kept", _written("image_id", image), "image")
        else:
            notes.note("unmet", _written("image_id", image), "image_digest")
    return found


def _script(fields: Mapping[str, Any], notes: Notes) -> tuple[str, bool]:
    """Return the script that does setup, then run; and whether either needs the network."""
    parts, needs_network = [_PLACE], False
    for field, lines in (("setup", _SETUP), ("run", _RUN)):
        text = fields.get(field)
        if text is None:
            continue
        if not isinstance(text, str):
            notes.wrong(field, "import_sky_text", given=repr(text))
            continue
        notes.note("kept", f"{field}:", f"sky_{field}")
        parts += [written(field, text), lines]
        needs_network |= body.look(text, BASH, notes)
    return "".join(parts), needs_network


def _workdir(fields: Mapping[str, Any], notes: Notes) -> str:
    workdir = fields.get("workdir")
    if workdir is None:
        return ""
    if not isinstance(workdir, str):
        notes.note("unmet", _written("workdir", workdir), "sky_git")
        return ""
    notes.note("kept", f"workdir: {workdir}", "sky_workdir")
    return workdir


def _tell(field: str, value: Any, notes: Notes) -> None:
    level, code = _FIELDS.get(field, ("unmet", "unknown_field"))
    if value in (False, None):
        return  # what is switched off asks for nothing
    rows = value if code == "sky_mounts" and isinstance(value, dict) else {"": value}
    for target, source in rows.items():
        place = f"{field}.{target}" if target else field
        notes.note(level, _written(place, source), code)


def _written(field: str, value: Any) -> str:
    text = " ".join(yaml.safe_dump(value, default_flow_style=True).split())
    text = text.removesuffix(" ...")
    return f"{field}: {text}" if len(text) <= body.WIDTH_MAX else f"{field}: {text[:59]}…"
