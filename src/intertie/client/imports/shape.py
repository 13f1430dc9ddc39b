"""What an sbatch script asks of machines, brought onto one machine: a job's task here is one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from intertie.client.imports import values
from intertie.client.imports.directives import Asked
from intertie.client.imports.notes import Notes

MIB = 1 << 20
MEMORY_MIB_PER_CPU = 1024
T = TypeVar("T")
Options = dict[str, Asked]


@dataclass(frozen=True)
class Shape:
    """All tasks, cores, memory and devices together. A count of 0 is one that nobody asked for."""

    nodes: int = 1
    ntasks: int = 1
    cpus_per_task: int = 1
    cpus: int = 1
    memory_mib: int = 0
    gpu_type: str = ""
    gpus: int = 0

    def resources(self) -> dict[str, object]:
        """Return the resources of a job spec."""
        asked: dict[str, object] = {"cpus": self.cpus, "memory": self.memory_mib * MIB}
        if self.gpus:
            named = {"class": self.gpu_type} if self.gpu_type else {}
            asked["devices"] = named | {"count": self.gpus}
        return asked


def shape_of(options: Options, notes: Notes) -> Shape:
    """Return what is asked for, with a note on each option that says so."""
    shape = _tasks(options, notes)
    shape = _devices(options, shape, notes)
    shape = _cpus(options, shape, notes)
    return replace(shape, memory_mib=_memory(options, shape, notes))


def value_of(
    options: Options, name: str, read: Callable[[str], T], kind: str, notes: Notes
) -> T | None:
    """Return an option's value, None if it is not asked for or cannot be read, which is noted."""
    asked = options.get(name)
    if asked is None:
        return None
    try:
        return read(asked.value)
    except ValueError:
        notes.wrong(asked.place, kind, given=repr(asked.value))
        return None


def _count(options: Options, name: str, notes: Notes) -> int:
    found = value_of(options, name, values.positive, "import_number", notes)
    return found or 0


def _tasks(options: Options, notes: Notes) -> Shape:
    nodes = value_of(options, "nodes", values.nodes, "import_nodes", notes) or 0
    per_node = _count(options, "ntasks-per-node", notes)
    asked = _count(options, "ntasks", notes)
    ntasks = asked or max(nodes, 1) * (per_node or 1)
    if asked and per_node and not nodes:
        nodes = -(-asked // per_node)
    shape = Shape(max(nodes, 1), ntasks, _count(options, "cpus-per-task", notes) or 1)
    for name, value in (("ntasks", asked), ("ntasks-per-node", per_node)):
        if value:
            notes.note("kept", options[name].written, "tasks", options[name].line, tasks=ntasks)
    if "nodes" in options and shape.nodes == 1:
        notes.note("kept", options["nodes"].written, "one_machine", options["nodes"].line)
    elif shape.nodes > 1:
        which = options.get("nodes") or options["ntasks-per-node"]
        notes.note("changed", which.written, "onto_one_machine", which.line, nodes=shape.nodes)
    return shape


def _devices(options: Options, shape: Shape, notes: Notes) -> Shape:
    """Return the shape with its devices: the largest count that any option comes to."""
    sockets = _count(options, "sockets-per-node", notes)
    if sockets and "gpus-per-socket" not in options:
        asked = options["sockets-per-node"]
        notes.note("unmet", asked.written, "no_layout", asked.line)
    times = {
        "gpus": 1,
        "gpus-per-node": shape.nodes,
        "gpus-per-task": shape.ntasks,
        "gpus-per-socket": max(sockets, 1) * shape.nodes,
    }
    found = [(name, each, times[name]) for name in times for each in _parts(options, name, notes)]
    found += [("gres", each, shape.nodes) for each in _gres(options, notes)]
    count = max((each[1] * factor for _, each, factor in found), default=0)
    kinds = [each[0] for _, each, _ in found if each[0]]
    kind = kinds[0] if kinds else ""
    for name, each, factor in found:
        asked = options[name]
        if each[0] not in ("", kind):
            notes.note("unmet", asked.written, "one_device_class", asked.line, chosen=kind)
        elif count and not kind:
            notes.note("unmet", asked.written, "device_class_missing", asked.line, count=count)
        else:
            counted = each[1] * factor
            notes.note("kept", asked.written, "devices", asked.line, kind=kind, count=counted)
    shape = replace(shape, gpu_type=kind if count else "", gpus=count)
    return _tasks_by_device(options, shape, notes)


def _tasks_by_device(options: Options, shape: Shape, notes: Notes) -> Shape:
    per_gpu = _count(options, "ntasks-per-gpu", notes)
    if not per_gpu:
        return shape
    asked = options["ntasks-per-gpu"]
    ntasks = shape.ntasks if "ntasks" in options else max(1, per_gpu * shape.gpus)
    notes.note("kept", asked.written, "tasks", asked.line, tasks=ntasks)
    return replace(shape, ntasks=ntasks)


def _parts(options: Options, name: str, notes: Notes) -> list[tuple[str, int]]:
    def read(text: str) -> list[tuple[str, int]]:
        return [values.gpus(part) for part in text.split(",")]

    return value_of(options, name, read, "import_gpus", notes) or []


def _gres(options: Options, notes: Notes) -> list[tuple[str, int]]:
    """Return the devices among generic resources; others belong to a site, and are noted."""
    asked = options.get("gres")
    if asked is None:
        return []
    found = []
    for part in asked.value.split(","):
        name, _, rest = part.removeprefix("gres/").removeprefix("gres:").partition(":")
        if name.lower() == "none":
            notes.note("kept", asked.written, "no_devices", asked.line)
        elif name != "gpu":
            notes.note("unmet", f"--gres={part}", "no_site_resource", asked.line)
        else:
            rest = rest.partition("(")[0]  # sockets may follow in brackets
            try:
                found.append(values.gpus(rest or "1"))
            except ValueError:
                notes.wrong(asked.place, "import_gpus", given=repr(rest))
    return found


def _cpus(options: Options, shape: Shape, notes: Notes) -> Shape:
    cpus = shape.ntasks * shape.cpus_per_task
    per_gpu = _count(options, "cpus-per-gpu", notes)
    if per_gpu:
        cpus = max(per_gpu * shape.gpus, shape.ntasks)
    cpus = max(cpus, _count(options, "mincpus", notes) * shape.nodes)
    for name in ("cpus-per-task", "cpus-per-gpu", "mincpus"):
        if name in options:
            notes.note("kept", options[name].written, "cpus", options[name].line, cpus=cpus)
    return replace(shape, cpus=cpus)


def _memory(options: Options, shape: Shape, notes: Notes) -> int:
    times = {"mem": shape.nodes, "mem-per-cpu": shape.cpus, "mem-per-gpu": max(1, shape.gpus)}
    guessed = shape.cpus * MEMORY_MIB_PER_CPU
    memory = 0
    for name, factor in times.items():
        each = value_of(options, name, values.mebibytes, "import_memory", notes)
        if each is None:
            continue
        asked = options[name]
        if each == 0:
            told = {"memory_bytes": guessed * MIB}
            notes.note("unmet", asked.written, "no_whole_memory", asked.line, **told)
            continue
        memory = max(memory, each * factor)
        told = {"memory_bytes": each * factor * MIB}
        notes.note("kept", asked.written, "memory", asked.line, **told)
    if not memory and not set(times) & set(options):
        notes.note("changed", "--mem", "memory_guessed", memory_bytes=guessed * MIB)
    return memory or guessed
