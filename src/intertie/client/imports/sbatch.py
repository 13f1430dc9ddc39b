"""An sbatch script as a job spec: what it asks for, and what of it holds here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intertie.client.imports import body, directives, environment, patterns, values
from intertie.client.imports.directives import Asked
from intertie.client.imports.images import image_named
from intertie.client.imports.notes import Imported, Notes
from intertie.client.imports.shape import Options, Shape, shape_of, value_of
from intertie.client.imports.wrapper import Wrapped, interpreter_of, wrap
from intertie.model.ids import decode

TIME_MAX_S = 30 * 86_400
TIME_S = 3600
GIB = 1 << 30
_JOB_NAME = re.compile(r"[^\w .+@:/-]")


@dataclass(frozen=True)
class _Files:
    """The files of standard input and output, as words of a shell, and what comes back."""

    output: str = ""
    error: str = ""
    input: str = ""
    results: tuple[str, ...] = ()


def is_sbatch(text: str) -> bool:
    """Return whether a text is an sbatch script: it runs something and has a #SBATCH line."""
    return text.startswith("#!") and re.search(r"^#SBATCH\s", text, re.M) is not None


def from_sbatch(
    text: str,
    name: str = "sbatch",
    arguments: Sequence[str] = (),
    jobs: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Imported:
    """Return the job spec that an sbatch script means, with a note on everything it asks for.

    `name` is the job's unless the script names it. `arguments` go to the script. `jobs` says which
    of our jobs (``job-000c``) stands for a Slurm job id in a dependency. `variables` are those of
    the caller, of which `--export` may name some. Raise SpecError for what sbatch would refuse.
    """
    notes = Notes()
    text = _plain(text, notes)
    options = _last_of_each(directives.read(text, notes), notes)
    notes.check()
    shape = shape_of(options, notes)
    spec: dict[str, Any] = {"name": _name(options, name, notes), "resources": shape.resources()}
    told = environment.told(options, shape, spec["name"])
    spec["environment"] = told | _exported(options, variables or {}, notes)
    spec |= _array(options, spec["environment"], notes)
    spec["time_limit"] = _time_limit(options, notes)
    spec |= _more(options, shape, jobs or {}, notes)
    script, results = _script(text, options, spec, tuple(arguments), notes)
    spec |= {"script": script} | ({"results": results} if results else {})
    if body.look(text, interpreter_of(text), notes, shape.ntasks):
        spec["network"] = True
    notes.check()
    return Imported(spec=spec, notes=sorted(notes.taken, key=lambda note: note.line))


def _plain(text: str, notes: Notes) -> str:
    text = text.removeprefix("\ufeff")
    if not interpreter_of(text) or not text.startswith("#!"):
        notes.wrong("line 1", "import_no_shebang")
    if "\0" in text:
        notes.wrong("line 1", "import_zero_byte")
    if re.search("[\ud800-\udfff]", text):  # how Python carries bytes that are no text
        notes.wrong("line 1", "import_not_utf8")
    notes.check()
    if "\r\n" in text:
        notes.note("changed", "\\r\\n", "line_ends")
    return text.replace("\r\n", "\n")


def _last_of_each(asked: list[Asked], notes: Notes) -> Options:
    """Return each option's last word; say what becomes of those that nothing here reads."""
    found: Options = {}
    for each in asked:
        if before := found.pop(each.option.name, None):
            notes.note("kept", before.written, "said_again", before.line, again=each.line)
        found[each.option.name] = each
    for each in found.values():
        option = each.option
        if option.code:
            notes.note(option.level, each.written, option.code, each.line)
    return found


def _name(options: Options, name: str, notes: Notes) -> str:
    asked = options.get("job-name")
    wanted = asked.value if asked else name
    usable = _JOB_NAME.sub("-", wanted)[:100]
    if not re.match(r"\w", usable):
        usable = f"job{usable}"[:100]
    if asked and usable == wanted:
        notes.note("kept", asked.written, "name", asked.line)
    elif asked:
        notes.note("changed", asked.written, "name_mended", asked.line, name=usable)
    return usable


def _exported(options: Options, variables: Mapping[str, str], notes: Notes) -> dict[str, str]:
    asked = options.get("export")
    if asked is None:
        return {}
    found: dict[str, str] = {}
    for part in re.split(r",(?=[A-Za-z_])", asked.value):
        name, equals, value = part.partition("=")
        if part in ("NONE", "NIL"):
            notes.note("kept", asked.written, "exports_none", asked.line)
        elif part in ("ALL", ""):
            notes.note("unmet", asked.written, "no_export_all", asked.line)
        elif equals or name in variables:
            found[name] = value if equals else variables[name]
            notes.note("kept", f"--export={part}", "exported", asked.line, name=name)
        else:
            notes.note("unmet", f"--export={part}", "not_set", asked.line, name=name)
    return found


def _array(options: Options, told: dict[str, str], notes: Notes) -> dict[str, Any]:
    """Return the array's values; what all tasks know of it is put with what they are told."""
    if "array" not in options:
        return {}
    asked = options["array"]
    try:
        found = values.array(asked.value)
    except values.TooMany as many:
        notes.wrong(asked.place, "import_array_size", given=many.args[0])
        return {}
    except ValueError:
        notes.wrong(asked.place, "import_array", given=repr(asked.value))
        return {}
    notes.note("kept", asked.written, "array", asked.line, tasks=len(found.indexes))
    if found.at_once:
        told_limit = {"at_once": found.at_once}
        notes.note("unmet", f"%{found.at_once}", "no_throttle", asked.line, **told_limit)
    told |= environment.of_array(found)
    return {"array": {"values": [{"SLURM_ARRAY_TASK_ID": index} for index in found.indexes]}}


def _time_limit(options: Options, notes: Notes) -> int:
    asked = options.get("time")
    if asked is None:
        notes.note("changed", "--time", "time_guessed", limit_s=TIME_S)
        return TIME_S
    try:
        found = values.seconds(asked.value)
    except ValueError:
        notes.wrong(asked.place, "import_time", given=repr(asked.value))
        return TIME_S
    if found is None or found > TIME_MAX_S:
        notes.note("changed", asked.written, "time_longest", asked.line, limit_s=TIME_MAX_S)
        return TIME_MAX_S
    notes.note("kept", asked.written, "time", asked.line, limit_s=found)
    return found


def _more(options: Options, shape: Shape, jobs: Mapping[str, str], notes: Notes) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    disk_mib = value_of(options, "tmp", values.mebibytes, "import_memory", notes)
    if disk_mib:
        spec["resources"] = shape.resources() | {"disk": max(GIB, disk_mib << 20)}
        asked = options["tmp"]
        notes.note("kept", asked.written, "disk", asked.line, disk_bytes=max(GIB, disk_mib << 20))
    if after := _after(options, jobs, notes):
        spec["after"] = after
    if container := options.get("container-image"):
        if image := image_named(container.value):
            spec["software"] = {"image": image}
            notes.note("kept", container.written, "image", container.line)
        else:
            notes.note("unmet", container.written, "image_digest", container.line)
    if chosen := options.get("constraint"):
        notes.note("unmet", chosen.written, "no_nodes_chosen", chosen.line)
    return spec


def _after(options: Options, jobs: Mapping[str, str], notes: Notes) -> list[str]:
    """Return the jobs of ours that a dependency names; a wait here is for a job that is done."""
    asked = options.get("dependency")
    if asked is None:
        return []
    found: list[str] = []
    for part in re.split(r"[,?]", asked.value):
        kind, *ids = part.split(":")
        if "?" in asked.value or kind in ("singleton", "afternotok", "expand", "") or not ids:
            notes.note("unmet", part, "no_dependency", asked.line, kind=kind)
            continue
        for each in ids:
            job = _our_job(jobs.get(each.partition("+")[0], each))
            if not job:
                notes.note("unmet", f"{kind}:{each}", "unknown_job", asked.line, job=each)
                continue
            found.append(job)
            if kind == "afterok":
                notes.note("kept", f"{kind}:{each}", "after_done", asked.line, job=job)
            else:
                notes.note("changed", f"{kind}:{each}", "after_done_only", asked.line, job=job)
    return list(dict.fromkeys(found))


def _our_job(text: str) -> str:
    try:
        decode("job", text)
    except ValueError:
        return ""
    return text


def _script(
    text: str,
    options: Options,
    spec: dict[str, Any],
    arguments: tuple[str, ...],
    notes: Notes,
) -> tuple[str, list[str]]:
    folder = _folder(options, notes)
    files = _files(options, folder, spec["environment"]["SLURM_JOB_NAME"], notes)
    signal = value_of(options, "signal", values.signal, "import_signal", notes)
    if signal:
        asked = options["signal"]
        code = "signal_script" if signal.to_script else "signal_steps"
        told = signal.name
        notes.note("kept", asked.written, code, asked.line, name=told, before_s=signal.before_s)
    if once := options.get("no-requeue"):
        notes.note("kept", once.written, "runs_once", once.line)
    wrapped = Wrapped(
        text,
        arguments,
        time_limit_s=spec["time_limit"],
        is_array="array" in spec,
        runs_once="no-requeue" in options,
        folder=folder,
        output=files.output,
        error=files.error,
        input=files.input,
        appends=_appends(options, notes),
        signal=signal,
    )
    return wrap(wrapped), list(files.results)


def _folder(options: Options, notes: Notes) -> str:
    asked = options.get("chdir") or options.get("workdir")
    if asked is None:
        return ""
    folder, is_outside = patterns.inside("", asked.value)
    if is_outside or asked.value.startswith("~"):
        notes.note("unmet", asked.written, "no_site_folder", asked.line)
        return ""
    notes.note("kept", asked.written, "folder", asked.line, folder=folder)
    return "" if folder == "." else folder


def _files(options: Options, folder: str, name: str, notes: Notes) -> _Files:
    words: dict[str, str] = {}
    results: list[str] = []
    for option in ("output", "error"):
        asked = options.get(option)
        if asked is None:
            continue
        if asked.value == "/dev/null":
            words[option] = "/dev/null"
            notes.note("kept", asked.written, "nowhere", asked.line)
            continue
        path, is_moved = patterns.inside(folder, asked.value.strip())
        result = patterns.as_result(path, name)
        words[option] = f'"$SLURM_SUBMIT_DIR"/{patterns.in_shell(path, name)}'
        results.append(result)
        if is_moved:
            notes.note("changed", asked.written, "file_moved", asked.line, path=result)
        else:
            notes.note("kept", asked.written, "file", asked.line, path=result)
    if words.get("error") == words.get("output"):
        words.pop("error", None)  # one file for both, as with no --error at all
    if read := options.get("input"):
        path, is_outside = patterns.inside(folder, read.value)
        if is_outside:
            notes.note("unmet", read.written, "no_site_folder", read.line)
        else:
            words["input"] = f'"$SLURM_SUBMIT_DIR"/{patterns.in_shell(path, name)}'
            notes.note("kept", read.written, "input", read.line, path=path)
    return _Files(results=tuple(dict.fromkeys(results)), **words)


def _appends(options: Options, notes: Notes) -> bool:
    asked = options.get("open-mode")
    if asked is None:
        return False
    notes.note("kept", asked.written, "open_mode", asked.line)
    return asked.value.lower().startswith("a")
